"""Predicts one input into one folder: skips, resumes or runs it, and writes the record."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from salcli._version import __version__
from salcli.errors import OutputError
from salcli.loading import Loaded
from salcli.media.open import open_stimulus, remaining
from salcli.output import writers
from salcli.plugins import registry
from salcli.prediction import loop, manifest, stills
from salcli.prediction.manifest import OutputPaths
from salcli.progress import Watcher
from salcli.specs import as_json
from salcli.types import Format, Kind, Scale, Size, Stimulus

__all__ = ["Job", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The result of one input.

    Attributes:
        source: The input.
        results: The folder that holds its results.
        status: `done`, `skipped` (it was finished before) or `failed`.
        frames: Number of maps.
        seconds: How long it took.
        problems: Stills that were skipped, with the reason.
        error: Why it failed.
    """

    source: Path
    results: Path
    status: Literal["done", "skipped", "failed"]
    frames: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    error: str = ""

    @property
    def complete(self) -> bool:
        """Whether every frame has a map."""
        return self.status != "failed" and not self.problems


@dataclass
class _Written:
    """What a run has passed to the writer: labels of the maps, names of the extras."""

    labels: list[str] = field(default_factory=list)
    interpolated: list[str] = field(default_factory=list)
    extras: set[str] = field(default_factory=set)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """The settings that apply to every input.

    Attributes:
        loaded: The model.
        formats: What to write; see `salcli.output.writers.FORMATS`.
        size, scale, extras: Of the maps; see `salcli.prediction.loop.run`.
        kind, fps: How inputs are opened; see `salcli.media.open.open_stimulus`.
        overwrite: Whether finished inputs are predicted again.
        labels: Output names of the frames of a clip that is a folder, where they differ from the
            names of its files.
    """

    loaded: Loaded
    formats: tuple[Format, ...] = ("png",)
    size: Size = "source"
    scale: Scale = "published"
    extras: bool = False
    kind: Kind = "auto"
    fps: float | None = None
    overwrite: bool = False
    labels: Sequence[str] | None = None

    def run(self, source: Path, place: OutputPaths, *, watcher: Watcher) -> Outcome:
        """Predict one input, unless it is finished already.

        Raises:
            InputError: It cannot be read.
            OutputError: Results cannot be written.
            PluginError: The model broke its contract.
            SalcliError: Out of memory.
        """
        began = time.monotonic()
        settings = self._settings(source)
        records = [place.read(single=single) for single in (False, True)]
        known = (record for record in records if record and record["settings"] == settings)
        previous = None if self.overwrite else next(known, None)
        if previous and self._is_finished(place, previous):
            results = place.output if previous["single"] else place.folder
            problems = tuple(previous["problems"])
            return Outcome(source, results, "skipped", previous["frames"], problems=problems)
        stimulus, single = self._open(source, place)
        replaced = records[single]  # the other one, if any, belongs to another input
        if replaced and replaced is not previous:
            if not self.overwrite:
                watcher.note(f"{source}: was predicted with other settings; predicting it again")
            place.discard(replaced)
        if self.overwrite:
            stills.forget(place.folder)
        given = self._write(stimulus, place, settings, single=single, watcher=watcher)
        new = {
            "settings": settings,
            **self._facts(stimulus),
            "formats": sorted({*self.formats, *(previous["formats"] if previous else ())}),
            "single": single,
            "frames": len(given.labels),
            "labels": None if stimulus.labels is None else given.labels,
            "extras": sorted(given.extras),
            "interpolated": given.interpolated,
            "problems": given.problems,
            "seconds": round(time.monotonic() - began, 3),
        }
        place.write(new)
        stills.forget(place.folder)
        results = place.output if single else place.folder
        return Outcome(source, results, "done", new["frames"], new["seconds"], given.problems)

    def _settings(self, source: Path) -> dict[str, Any]:
        """Everything that determines the bytes of the results, as it reads back from JSON."""
        model, row = self.loaded.model, self.loaded.row
        return {
            "model": model.spec.name,
            "tag": row.tag if row else None,
            "weights_sha256": self.loaded.digest,
            "options": as_json(model.options),
            **self.loaded.changes(),
            "precision": str(model.precision).removeprefix("torch."),
            "size": list(self.size) if isinstance(self.size, tuple) else self.size,
            "scale": self.scale,
            "extras": self.extras,
            "as": self.kind,
            "fps": self.fps,
            "source": manifest.fingerprint(source),
        }

    def _facts(self, stimulus: Stimulus) -> dict[str, Any]:
        """Further facts about a run."""
        plugin = registry.provider(self.loaded.model.spec.name)
        path = self.loaded.path
        height, width = stimulus.size
        return {
            "model": self.loaded.label,
            "weights": {"file": path.name if path else None, "sha256": self.loaded.digest},
            "versions": {
                "salcli": __version__,
                plugin.distribution: plugin.version,
                "torch": torch.__version__,
            },
            "device": str(self.loaded.model.device),
            "rounding": self.loaded.model.spec.rounding,
            "trained_on": [dataclasses.asdict(each) for each in self.loaded.trained_on],
            "source": str(stimulus.source.absolute()) if stimulus.source else None,
            "kind": "clip" if stimulus.is_clip else "stills",
            "fps": stimulus.fps,
            "width": width,
            "height": height,
        }

    def _is_finished(self, place: OutputPaths, record: Mapping[str, Any]) -> bool:
        return set(self.formats) <= set(record["formats"]) and all(
            file.is_file() for file in place.files(record)
        )

    def _open(self, source: Path, place: OutputPaths) -> tuple[Stimulus, bool]:
        """The stimulus, and whether it is a lone image."""
        accepts = self.loaded.model.spec.accepts
        stimulus = open_stimulus(source, kind=self.kind, fps=self.fps, accepts=accepts)
        single = source.is_file() and not stimulus.is_clip and stimulus.count == 1
        if single:
            stimulus = replace(stimulus, labels=[place.name])
        elif self.labels is not None:
            stimulus = replace(stimulus, labels=self.labels)
        inside = [source.resolve(), (source / "images").resolve()]
        written = place.folder.resolve()
        if single:
            files = writers.files_of(
                place.name, self.formats, place.output, single=True, clip=False
            )
            clash = source.resolve() in [file.resolve() for file in files]
        else:
            clash = written in inside
        if clash:
            raise OutputError(
                f"the results of '{source}' would overwrite it; choose another output folder"
            )
        return replace(stimulus, name=place.name), single

    def _write(
        self,
        stimulus: Stimulus,
        place: OutputPaths,
        settings: Mapping[str, Any],
        *,
        single: bool,
        watcher: Watcher,
    ) -> _Written:
        """Predict and write whatever is not written yet."""
        given = _Written()
        finished = None
        # a table of all stills needs them all, and the number of extras is not known beforehand
        resumable = stimulus.source is not None and stimulus.source.is_dir()
        if resumable and not stimulus.is_clip and "csv" not in self.formats and not self.extras:
            finished = stills.FinishedStills(
                place.folder,
                settings=settings,
                formats=self.formats,
                batch_size=self.loaded.model.batch_size,
            )
            given.labels += finished.resume()
            stimulus = remaining(stimulus, set(given.labels).__contains__)
        watcher.start(stimulus.name, stimulus.count)
        results = loop.run(
            self.loaded.model,
            stimulus,
            size=self.size,
            scale=self.scale,
            extras=self.extras,
            keep_frames="overlay" in self.formats or finished is not None,
            notice=watcher.note,
        )
        folder = place.output if single else place.folder
        rounding = self.loaded.model.spec.rounding
        with (
            closing(results),
            writers.open_writer(
                self.formats, folder, stimulus=stimulus, rounding=rounding, single=single
            ) as writer,
        ):
            for result in results:
                if finished:
                    finished.add(result)
                writer.write(result)
                given.labels.append(result.label)
                given.extras.update(result.extras)
                if result.interpolated:
                    given.interpolated.append(result.label)
                watcher.step()
        given.problems = tuple(stimulus.problems)
        return given
