"""Encodes one input into one folder: skips, resumes or runs it, and writes its document."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from salcli.cropping.document import sizes
from salcli.cropping.measured import FrameRecords, measure
from salcli.cropping.shots import shots
from salcli.encoding import codecs, document
from salcli.encoding.clip import ClipEncoding, Match, remove_trials
from salcli.encoding.codecs import Codec
from salcli.encoding.document import EncodeDocument, Measured
from salcli.encoding.exports import EXPORTS, OffsetExport
from salcli.encoding.offsets import Grid
from salcli.encoding.segments import Encoding, segments
from salcli.errors import InputError, UnknownName, UsageError
from salcli.files import atomic
from salcli.files.atomic import reporting_os_errors, sweep, temporary
from salcli.media.encoder import exact
from salcli.media.open import open_stimulus
from salcli.media.planar import colour_tags
from salcli.media.portion import WHOLE, Portion
from salcli.media.video import Video
from salcli.output.movie import add_sound
from salcli.prediction import claims
from salcli.prediction.claims import Claim
from salcli.prediction.finished import kept_in
from salcli.prediction.manifest import OutputPaths, fingerprint
from salcli.prediction.mapstream import MapStream
from salcli.terminal.progress import Watcher
from salcli.types import Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FORMATS", "EncodeJob", "EncodeOutcome", "check_formats"]

FORMATS = ("video", *EXPORTS)


def check_formats(formats: Sequence[str]) -> None:
    """Refuse what is none of `FORMATS`.

    Raises:
        UnknownName: There is no such format.
    """
    for format_ in formats:
        if format_ not in FORMATS:
            raise UnknownName("output format", format_, FORMATS)


@dataclass(frozen=True)
class EncodeOutcome:
    """The result of one input: the document, its file, and whether it was done before."""

    document: EncodeDocument
    path: Path
    status: Literal["done", "skipped"]


@dataclass(frozen=True)
class EncodeJob:
    """The settings that apply to every input.

    Attributes:
        maps: Where maps come from.
        codec: The encoder.
        quality: Of the plain encode; `None` for the encoder's default.
        strength: The largest QP offset.
        match: What of the plain encode is matched: `quality`, `size` or `none`.
        formats: Of `FORMATS`.
        vmaf: Whether VMAF is measured.
        portion: Which frames are encoded.
        overwrite: Whether finished inputs are encoded again.

    Raises:
        UnknownName: There is no such format.
        UsageError: A number is out of range, or the encoder ignores regions of interest.
    """

    maps: MapStream
    codec: Codec
    quality: float | None = None
    strength: float = 6.0
    match: Match = "quality"
    formats: Sequence[str] = ("video",)
    vmaf: bool = True
    portion: Portion = WHOLE
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_formats(self.formats)
        if not self.codec.best <= self.base <= self.codec.worst:
            raise UsageError(
                f"quality {self.base:g}: that of {self.codec.name} is from {self.codec.best:g} to "
                f"{self.codec.worst:g}"
            )
        if not 0 < self.strength <= 25:
            raise UsageError(f"strength {self.strength:g}: must be above 0, at most 25")
        if "video" in self.formats:
            codecs.check(self.codec)

    @property
    def base(self) -> float:
        """Quality of the plain encode."""
        return self.codec.quality if self.quality is None else self.quality

    def run(self, source: Path, place: OutputPaths, *, watcher: Watcher) -> EncodeOutcome:
        """Encode one input, unless it is finished already.

        Raises:
            InputError: It or its maps cannot be read, or it is not a video.
            OutputError: Results cannot be written.
            ClaimedElsewhere: Another process works on it.
            PluginError, SalcliError: See `salcli.prediction.loop.run`.
        """
        stimulus = open_stimulus(source, accepts=self.maps.accepts, portion=self.portion)
        if not isinstance(stimulus.frames, Video):
            raise InputError(f"'{source}' is not a video file; only these are encoded")
        stimulus = replace(stimulus, name=place.name)
        path = place.folder / "encode.json"
        of_maps, settings = self._settings(source, stimulus)
        found = None if self.overwrite else document.finished(path, settings)
        if found is not None:
            return EncodeOutcome(found, path, "skipped")
        with claims.claimed(place.claim_file(single=False)) as claim:
            if self.overwrite:
                self._forget(place.folder)
            sweep(kept_in(place.folder))
            found = self._encode(stimulus, path, (of_maps, settings), claim, watcher)
            atomic.write(path, json.dumps(found.as_json(), indent=2) + "\n")
            self._forget(place.folder)
        return EncodeOutcome(found, path, "done")

    def _encode(
        self,
        stimulus: Stimulus,
        path: Path,
        heads: tuple[dict[str, Any], dict[str, Any]],
        claim: Claim,
        watcher: Watcher,
    ) -> EncodeDocument:
        even = (stimulus.size[0] // 2 * 2, stimulus.size[1] // 2 * 2)
        if "video" in self.formats and any(side % self.codec.multiple for side in even):
            raise InputError(
                f"{self.codec.name} takes frames whose sides are multiples of "
                f"{self.codec.multiple}, and '{stimulus.source}' has {even[1]}x{even[0]}; choose "
                "another encoder"
            )
        grid = Grid(even)
        parts = kept_in(path.parent)
        records = FrameRecords(parts / "cells.bin", heads[0], values=int(np.prod(grid.shape)))

        def reduce(saliency: Any) -> Any:
            claim.touch()
            return grid.reduce(saliency).ravel()

        problem = measure(stimulus, self.maps, records, reduce=reduce, watcher=watcher)
        if problem:
            raise InputError(problem)
        known = records.array()
        assert stimulus.fps is not None  # it is a clip
        files: list[Path] = []
        export = OffsetExport(known, grid, self.strength, stimulus.fps)
        for format_ in self.formats:
            if format_ in EXPORTS:
                files.append(path.parent / EXPORTS[format_][0])
                EXPORTS[format_][1](export, files[-1])
        times = np.maximum.accumulate(np.array(known["time"]))
        ranges = shots(known["thumbnail"])
        work = self._work(stimulus, known, (times, ranges), grid, parts, claim, watcher)
        plain, regions, value = None, None, self.base
        if "video" in self.formats:
            files.append(path.parent / f"{self.codec.name}.mp4")
            self._keep_only_segments_of(parts, heads[1])
            plain, regions = self._video(stimulus, work, times, files[-1])
            value = regions.quality
        return EncodeDocument(
            source=str(stimulus.source),
            maps=self.maps.label,
            frames=len(known),
            settings=heads[1],
            plain=plain,
            regions=regions,
            files=sizes(path.parent, files),
            bits=work.bit_maps(value, segments(ranges, times, per_frame=False)),
        )

    def _work(
        self,
        stimulus: Stimulus,
        known: Any,
        shown: tuple[npt.NDArray[np.float64], Sequence[range]],
        grid: Grid,
        parts: Path,
        claim: Claim,
        watcher: Watcher,
    ) -> ClipEncoding:
        video = stimulus.frames
        assert isinstance(video, Video)
        times, ranges = shown
        return ClipEncoding(
            video,
            known,
            segments(ranges, times, per_frame=self.codec.per_frame),
            Encoding(
                self.codec,
                self.base,
                self.strength,
                grid.frame,
                exact(video.fps),
                stimulus.pixel_aspect,
                colour_tags(video.path),
                grid,
            ),
            parts,
            claim,
            watcher,
        )

    def _video(
        self,
        stimulus: Stimulus,
        work: ClipEncoding,
        times: npt.NDArray[np.float64],
        path: Path,
    ) -> tuple[Measured, Measured]:
        plain, plain_errors = work.plain()
        value = work.matched(plain, plain_errors, self.match)
        silent = temporary(path.with_suffix(".silent.mp4"))
        errors = work.regions(value, silent)
        both = (
            work.measured(self.base, plain, plain_errors, vmaf=self.vmaf),
            work.measured(value, silent, errors, vmaf=self.vmaf),
        )
        start = times[0] if stimulus.source_start is None else stimulus.source_start
        add_sound(
            silent,
            temporary(path),
            shown=path,
            source=stimulus.source,
            skipped=float(times[0] - start),
            end=float(times[-1] - times[0] + 1 / work.video.fps),
        )
        with reporting_os_errors(path):
            temporary(path).replace(path)
        return both

    def _keep_only_segments_of(self, parts: Path, head: dict[str, Any]) -> None:
        """Remove segments that were encoded with other settings."""
        described, text = parts / "segments.json", json.dumps(head, sort_keys=True)
        with reporting_os_errors(parts):
            if not described.is_file() or described.read_text("utf-8") != text:
                remove_trials(parts)
                atomic.write(described, text)

    def _forget(self, folder: Path) -> None:
        with reporting_os_errors(folder):
            if kept_in(folder).is_dir():
                shutil.rmtree(kept_in(folder))

    def _settings(self, source: Path, stimulus: Stimulus) -> tuple[dict[str, Any], dict[str, Any]]:
        """All that determines the maps, and the results, as they read back from JSON."""
        of_maps = {
            "maps": dict(self.maps.settings(stimulus)),
            "source": fingerprint(source),
            "portion": asdict(self.portion),
        }
        settings: dict[str, Any] = {
            **of_maps,
            "codec": asdict(self.codec),
            "quality": self.base,
            "strength": self.strength,
            "match": self.match,
            "formats": sorted(self.formats),
            "vmaf": self.vmaf,
        }
        both: list[dict[str, Any]] = json.loads(json.dumps([of_maps, settings]))
        return both[0], both[1]
