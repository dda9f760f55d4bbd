"""Crops one input into one folder: skips, resumes or runs it, and writes its document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from salcli.cropping import clips, document
from salcli.cropping.clips import ClipCrops, crop_clip
from salcli.cropping.document import CropDocument, sizes
from salcli.cropping.files import check_formats
from salcli.cropping.plan import CropSettings
from salcli.cropping.stills import StillCrops, crop_stills
from salcli.errors import OutputError, UsageError
from salcli.files import atomic
from salcli.media.open import open_stimulus
from salcli.media.portion import WHOLE, Portion
from salcli.prediction import claims
from salcli.prediction.claims import Claim
from salcli.prediction.manifest import OutputPaths, fingerprint
from salcli.prediction.mapstream import MapStream
from salcli.terminal.progress import Watcher
from salcli.types import Kind, Stimulus

__all__ = ["CropJob", "CropOutcome"]


@dataclass(frozen=True)
class CropOutcome:
    """The result of one input.

    Attributes:
        document: All about its crops.
        path: The document's file.
        status: `done`, or `skipped`, since it was finished before.
    """

    document: CropDocument
    path: Path
    status: Literal["done", "skipped"]


@dataclass(frozen=True)
class CropJob:
    """The settings that apply to every input.

    Attributes:
        maps: Where maps come from.
        wanted: The crops.
        formats: Of `salcli.cropping.files.FORMATS`.
        key_frames: How many pictures of each clip are saved.
        kind, fps, portion: How inputs are opened; see `salcli.media.open.open_stimulus`.
        overwrite: Whether finished inputs are cropped again.

    Raises:
        UnknownName: There is no such format.
        UsageError: There is no shape, or one twice.
    """

    maps: MapStream
    wanted: CropSettings
    formats: Sequence[str] = ("crop",)
    key_frames: int = 0
    kind: Kind = "auto"
    fps: float | None = None
    portion: Portion = WHOLE
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_formats(self.formats)
        names = [shape.name for shape in self.wanted.shapes]
        if not names or len(set(names)) < len(names):
            raise UsageError("name at least one ratio or size to crop to, and each once")

    def run(self, source: Path, place: OutputPaths, *, watcher: Watcher) -> CropOutcome:
        """Crop one input, unless it is finished already.

        Raises:
            InputError: It or its maps cannot be read.
            OutputError: Results cannot be written.
            ClaimedElsewhere: Another process works on it.
            PluginError, SalcliError: See `salcli.prediction.loop.run`.
        """
        stimulus = open_stimulus(
            source, kind=self.kind, fps=self.fps, accepts=self.maps.accepts, portion=self.portion
        )
        stimulus = dataclasses.replace(stimulus, name=place.name)
        single = not stimulus.is_clip and source.is_file()
        if not single and place.folder.resolve() == source.resolve():
            raise OutputError(f"the crops of '{source}' would lie in it; choose another folder")
        path = place.output / f"{place.name}.crop.json" if single else place.folder / "crop.json"
        of_maps, settings = self._settings(source, stimulus)
        found = None if self.overwrite else document.finished(path, settings)
        if found is not None:
            return CropOutcome(found, path, "skipped")
        with claims.claimed(place.claim_file(single=single)) as claim:
            if self.overwrite and not single:
                clips.forget(place.folder)
            label = place.name if single else None
            found = self._crop(
                stimulus,
                path.parent,
                label,
                heads=(of_maps, settings),
                claim=claim,
                watcher=watcher,
            )
            atomic.write(path, json.dumps(found.as_json(), indent=2) + "\n")
            if not single:
                clips.forget(place.folder)
        return CropOutcome(found, path, "done")

    def _crop(
        self,
        stimulus: Stimulus,
        folder: Path,
        label: str | None,
        *,
        heads: tuple[dict[str, Any], dict[str, Any]],
        claim: Claim,
        watcher: Watcher,
    ) -> CropDocument:
        made: ClipCrops | StillCrops
        if stimulus.is_clip:
            made = crop_clip(
                stimulus,
                self.maps,
                folder,
                wanted=self.wanted,
                formats=self.formats,
                pictures=self.key_frames,
                heads=heads,
                claim=claim,
                watcher=watcher,
            )
        else:
            made = crop_stills(
                stimulus,
                self.maps,
                folder,
                label=label,
                wanted=self.wanted,
                formats=self.formats,
                watcher=watcher,
            )
        return CropDocument(
            source=str(stimulus.source),
            maps=self.maps.label,
            kind="clip" if stimulus.is_clip else "stills",
            frames=made.frames,
            settings=heads[1],
            crops=made.crops,
            files=sizes(folder, made.files),
            problems=made.problems,
        )

    def _settings(self, source: Path, stimulus: Stimulus) -> tuple[dict[str, Any], dict[str, Any]]:
        """All that determines the maps, and the results, as they read back from JSON."""
        of_maps = {
            "maps": dict(self.maps.settings(stimulus)),
            "source": fingerprint(source),
            "as": self.kind,
            "fps": self.fps,
            "portion": dataclasses.asdict(self.portion),
        }
        shapes = [[shape.name, shape.size] for shape in self.wanted.shapes]
        wanted = dataclasses.asdict(dataclasses.replace(self.wanted, shapes=()))
        settings: dict[str, Any] = {**of_maps, "wanted": {**wanted, "shapes": shapes}}
        settings |= {"formats": sorted(self.formats), "key_frames": self.key_frames}
        both: list[dict[str, Any]] = json.loads(json.dumps([of_maps, settings]))
        return both[0], both[1]
