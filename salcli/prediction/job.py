"""Predicts one input into one folder: skips, resumes or runs it, and writes the record."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from salcli._version import __version__
from salcli.errors import InputError, OutputError, PluginError, SalcliError
from salcli.media.frameindex import FrameIndex
from salcli.media.live import Live
from salcli.media.open import open_stimulus
from salcli.media.portion import WHOLE, Portion
from salcli.media.video import Video
from salcli.models.loading import Loaded
from salcli.output import writers
from salcli.plugins import registry
from salcli.prediction import claims, finished, manifest
from salcli.prediction.claims import Claim, ClaimedElsewhere
from salcli.prediction.manifest import OutputPaths
from salcli.prediction.parts import ClipPart, forget_parts, index_file
from salcli.prediction.produce import MapSettings, Production
from salcli.terminal.progress import Watcher
from salcli.types import Format, Kind, Scale, Size, Stimulus

__all__ = ["CopyOf", "Job", "Outcome"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The result of one input.

    Attributes:
        source: The input, or its address.
        results: The folder that holds its results, or its address.
        status: `done`, `skipped` (it was finished before), `failed`, `elsewhere`: another process
            works on it; or `part`: other parts of the clip are not done yet.
        frames: Number of maps.
        seconds: How long it took.
        problems: Stills that were skipped, with the reason.
        error: Why it failed.
        holder: The process that works on it.
    """

    source: Path | str
    results: Path | str
    status: Literal["done", "skipped", "failed", "elsewhere", "part"]
    frames: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    error: str = ""
    holder: str = ""

    @property
    def complete(self) -> bool:
        """Whether every frame has a map, or gets one elsewhere."""
        return self.status != "failed" and not self.problems


@dataclass(frozen=True)
class CopyOf:
    """Where an input was copied from.

    Attributes:
        address: Its address.
        state: What identifies its version there.
    """

    address: str
    state: Mapping[str, Any]


def _absolute(source: Path | None) -> str | None:
    return None if source is None else str(source.absolute())


@dataclass(frozen=True)
class _Task:
    """One input, where its results go, and how they are made."""

    source: Path
    place: OutputPaths
    settings: Mapping[str, Any]
    single: bool
    watcher: Watcher

    @property
    def results(self) -> Path:
        """The folder that holds the results."""
        return self.place.output if self.single else self.place.folder


@dataclass(frozen=True)
class Job:
    """The settings that apply to every input.

    Attributes:
        loaded: The model.
        formats: What to write; see `salcli.output.writers.FORMATS`.
        size, scale, extras: Of the maps; see `salcli.prediction.loop.run`.
        kind, fps, portion: How inputs are opened; see `salcli.media.open.open_stimulus`.
        overwrite: Whether finished inputs are predicted again.
        retries: How often an input that failed is tried again.
        labels: Output names of the frames of a clip that is a folder, where they differ from the
            names of its files.
        origin: Where the input was copied from, if it is a copy of this process; or the camera or
            stream that is the input.
        request: What was asked for, see `salcli.prediction.request`; empty if that is unknown.
    """

    loaded: Loaded
    formats: tuple[Format, ...] = ("png",)
    size: Size = "source"
    scale: Scale = "published"
    extras: bool = False
    kind: Kind = "auto"
    fps: float | None = None
    portion: Portion = WHOLE
    overwrite: bool = False
    retries: int = 0
    labels: Sequence[str] | None = None
    origin: CopyOf | Live | None = None
    request: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self,
        source: Path,
        place: OutputPaths,
        *,
        watcher: Watcher,
        then: Callable[[Outcome], Outcome] | None = None,
    ) -> Outcome:
        """Predict one input, unless it is finished already, or another process works on it.

        Args:
            source: The input.
            place: Where its results go.
            watcher: Shows the progress.
            then: Done with the outcome, also of a finished input, while no other process can work
                on the input.

        Raises:
            InputError: It cannot be read.
            OutputError: Results cannot be written.
            PluginError: The model broke its contract.
            SalcliError: Out of memory.
        """
        settings, single = self._settings(source), manifest.is_single(source, self.kind)
        task = _Task(source, place, settings, single, watcher)
        if self.origin is None and not source.exists():
            self._open(task)  # raises: what is not there is nobody's work
        self._check_clash(task)
        try:
            outcome = self._finished(task)
            if outcome is None or then:
                with claims.claimed(place.claim_file(single=single)) as claim:
                    # another process may have finished it since
                    outcome = self._finished(task) or self._attempts(task, claim)
                    outcome = then(outcome) if then else outcome
        except ClaimedElsewhere as error:
            return Outcome(source, task.results, "elsewhere", holder=str(error))
        return outcome

    def run_part(
        self, source: Path, place: OutputPaths, part: ClipPart, *, watcher: Watcher
    ) -> Outcome:
        """Predict a part of a clip; whoever ends the last one makes one result of all.

        Raises:
            SalcliError: As `run`.
        """
        task = _Task(source, place, self._settings(source), False, watcher)
        self._check_clash(task)
        outcome, began = self._finished(task), time.monotonic()
        if outcome is not None:
            return outcome
        try:
            with claims.claimed(part.claim_file(task.results)) as claim:
                production = self._production(task, self._open(task), claim)
                frames = production.part(part)
                complete = production.is_cut(part)
        except ClaimedElsewhere as error:
            return Outcome(source, task.results, "elsewhere", holder=str(error))
        if complete:
            return self.run(source, place, watcher=watcher)
        return Outcome(source, task.results, "part", frames, time.monotonic() - began)

    def is_finished(self, source: Path, place: OutputPaths) -> bool:
        """Whether the results of a clip are all there.

        Raises:
            InputError: It cannot be read.
        """
        record = place.read(single=False)
        return record is not None and self.covers(record, source) and place.is_whole(record)

    def clip_length(self, source: Path) -> int:
        """About how many frames a clip has; 0 if the input is none.

        Raises:
            InputError: It cannot be read.
        """
        if manifest.is_single(source, self.kind):
            return 0
        stimulus = self._opened(source)
        return (stimulus.expected or 0) if stimulus.is_clip else 0

    def index(self, source: Path, place: OutputPaths, note: Callable[[str], None]) -> None:
        """Keep an index of the frames of a video that is cut into parts; notes that it is made.

        Raises:
            SalcliError: It cannot be read, or the index not be written.
        """
        frames, file = self._opened(source).frames, index_file(place.folder)
        state = self._index_state(source)
        if isinstance(frames, Video) and FrameIndex.read(file, state) is None:
            note(f"indexing {source} ...")
            found = frames.indexed(state)
            if found is not None:
                found.write(file)

    def _index_state(self, source: Path) -> dict[str, Any]:
        return {"source": self._state(source), "portion": dataclasses.asdict(self.portion)}

    def _production(self, task: _Task, stimulus: Stimulus, claim: Claim) -> Production:
        frames, file = stimulus.frames, index_file(task.place.folder)
        if isinstance(frames, Video):
            index = FrameIndex.read(file, self._index_state(task.source))
            if index is not None:
                frames.use(index)
        return Production(
            self.loaded.model,
            stimulus,
            task.results,
            wanted=MapSettings(self.formats, self.size, self.scale, self.extras),
            settings=task.settings,
            single=task.single,
            claim=claim,
            watcher=task.watcher,
        )

    def _finished(self, task: _Task) -> Outcome | None:
        """The outcome of an input whose results are all there."""
        record = task.place.read(single=task.single)
        if record is None or not self._covers(record, task.settings):
            return None
        if not task.place.is_whole(record):
            return None
        problems = tuple(record["problems"])
        return Outcome(task.source, task.results, "skipped", record["frames"], problems=problems)

    def covers(self, record: Mapping[str, Any], source: Path) -> bool:
        """Whether the results that a record speaks of are what is wanted for an input."""
        return self._covers(record, self._settings(source))

    def _covers(self, record: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        same: bool = record["settings"] == settings
        return same and set(self.formats) <= set(record["formats"]) and not self.overwrite

    def _attempts(self, task: _Task, claim: Claim) -> Outcome:
        """Predict the input, again if that fails and there are retries left."""
        for left in range(self.retries, -1, -1):
            try:
                return self._predict(task, claim)
            except (PluginError, ClaimedElsewhere):
                raise
            except SalcliError as error:
                task.place.note_failure(str(error), single=task.single)
                if not left:
                    raise
                task.watcher.note(f"{error}; trying again")
        raise AssertionError("the last attempt returns or raises")

    def _predict(self, task: _Task, claim: Claim) -> Outcome:
        began = time.monotonic()
        place, single = task.place, task.single
        stimulus = self._open(task)
        previous = place.read(single=single)
        if previous and (self.overwrite or previous["settings"] != task.settings):
            if not self.overwrite:
                task.watcher.note(
                    f"{task.source}: was predicted with other settings; predicting it again"
                )
            place.discard(previous)
            previous = None
        if self.overwrite and not single:
            finished.forget(place.folder)
        made = self._production(task, stimulus, claim).whole()
        if self._state(task.source) != task.settings["source"]:
            raise InputError(f"'{task.source}' changed while it was read; predict it again")
        earlier = previous or {"formats": (), "files": {}}
        record = {
            "settings": task.settings,
            "request": self.request,
            **self._facts(stimulus),
            "formats": sorted({*self.formats, *earlier["formats"]}),
            "single": single,
            "frames": len(made.labels),
            "labels": None if stimulus.labels is None else made.labels,
            "extras": sorted(made.extras),
            "interpolated": made.interpolated,
            "problems": made.problems,
            "files": {**earlier["files"], **made.files},
        }
        place.write(record)
        if not single:
            finished.forget(place.folder)
            forget_parts(place.folder)
        frames, seconds = len(made.labels), time.monotonic() - began
        logger.info("%s: %d maps in %.3f s", task.source, frames, seconds)
        source = self.origin.address if self.origin else task.source
        return Outcome(source, task.results, "done", frames, seconds, made.problems)

    def _settings(self, source: Path) -> dict[str, Any]:
        """Everything that determines the bytes of the results, as it reads back from JSON."""
        return {
            **self.loaded.settings(),
            "size": list(self.size) if isinstance(self.size, tuple) else self.size,
            "scale": self.scale,
            "extras": self.extras,
            "as": self.kind,
            "fps": self.fps,
            "portion": dataclasses.asdict(self.portion),
            "source": self._state(source),
        }

    def _state(self, source: Path) -> dict[str, Any]:
        return dict(self.origin.state) if self.origin else manifest.fingerprint(source)

    def _facts(self, stimulus: Stimulus) -> dict[str, Any]:
        """Further facts about a run."""
        plugin = registry.provider(self.loaded.model.spec.name)
        path = self.loaded.path
        height, width = stimulus.size
        engine = self.loaded.model.engine
        return {
            "model": self.loaded.label,
            "weights": {"file": path.name if path else None, "sha256": self.loaded.digest},
            "versions": {
                "salcli": __version__,
                plugin.distribution: plugin.version,
                "torch": torch.__version__,
                **({engine.spec.name: engine.version} if engine else {}),
            },
            "device": self.loaded.model.device.type,
            "rounding": self.loaded.model.spec.rounding,
            "trained_on": [dataclasses.asdict(each) for each in self.loaded.trained_on],
            "source": self.origin.address if self.origin else _absolute(stimulus.source),
            "kind": "clip" if stimulus.is_clip else "stills",
            "fps": stimulus.fps,
            "width": width,
            "height": height,
        }

    def _opened(self, source: Path) -> Stimulus:
        if isinstance(self.origin, Live):
            return self.origin.stimulus()
        accepts = self.loaded.model.spec.accepts
        return open_stimulus(
            source, kind=self.kind, fps=self.fps, accepts=accepts, portion=self.portion
        )

    def _open(self, task: _Task) -> Stimulus:
        stimulus = self._opened(task.source)
        labels = [task.place.name] if task.single else self.labels or stimulus.labels
        return replace(stimulus, name=task.place.name, labels=labels)

    def _check_clash(self, task: _Task) -> None:
        """Refuse an input that its own results would overwrite."""
        source, place = task.source, task.place
        if task.single:
            own = (place.name, self.formats, place.output)
            files = writers.files_of(*own, single=True, clip=False)
            clash = source.resolve() in [file.resolve() for file in files]
        else:
            clash = place.folder.resolve() in (source.resolve(), (source / "images").resolve())
        if clash:
            raise OutputError(
                f"the results of '{source}' would overwrite it; choose another output folder"
            )
