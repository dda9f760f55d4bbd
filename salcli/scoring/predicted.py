"""Maps that a model predicts on the fly; they are stored only on request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from salcli.errors import InputError, UsageError
from salcli.files import atomic
from salcli.gaze import groundtruth
from salcli.maps import to_8bit
from salcli.media.images import FrameFolder, Stills
from salcli.media.video import Video
from salcli.models.loading import Loaded
from salcli.output import png
from salcli.prediction import loop
from salcli.scoring.mapfiles import Map
from salcli.scoring.results import Problems
from salcli.scoring.selection import Selection
from salcli.scoring.sources import FrameMap
from salcli.specs import as_json
from salcli.terminal.progress import Watcher
from salcli.types import Recording, Result, Stimulus

__all__ = ["PredictedMaps", "stimulus_of"]

PART = 64
"""So many stills, at least, are predicted by themselves."""


class PredictedMaps:
    """The maps of a model at the size of the frames, as `salcli predict` gives them.

    Attributes:
        label: Model and weights.
        rounding: As the model's published code rounds.
        is_float: True.
        notes: Empty.
        trained_on: Of the weights.
    """

    is_float = True

    def __init__(self, loaded: Loaded, watcher: Watcher, *, save: Path | None = None) -> None:
        """Maps of the model `loaded`; the folder `save` receives them as 8-bit PNG."""
        self.label = loaded.label
        self.rounding: Literal["floor", "nearest", "up"] = loaded.model.spec.rounding
        self.notes = Problems()
        self.trained_on = loaded.trained_on
        self._loaded, self._watcher, self._save = loaded, watcher, save

    def files(self, selection: Selection) -> Iterable[Path]:
        """None: predictions depend on the recordings alone."""
        return ()

    def maps(self, selection: Selection, start: int = 0) -> Iterator[FrameMap]:
        """The map of each frame of the selection, in order; stills share batches.

        Maps from recording `start` on are the same as if all were predicted: since a network's last
        bits may depend on the pictures in a batch, prediction begins where the batch of that
        recording does.

        Raises:
            UsageError: The model does not take what the dataset has.
            PluginError: The model broke its contract.
        """
        self._check(selection)
        numbered = list(enumerate(selection.recordings))
        for is_clip, group in groupby(numbered, key=lambda pair: pair[1].is_clip):
            chosen = [pair for pair in group if selection.chosen[pair[0]]]
            if is_clip:
                for number, recording in chosen:
                    if number >= start:
                        yield from self._clip(selection, number, recording)
            else:
                stills = chosen[_batch_start(chosen, start, self._loaded.model.batch_size) :]
                for frame_map in self._stills(stills) if stills else ():
                    if frame_map.ref[0] >= start:
                        yield frame_map

    def parts(self, selection: Selection) -> list[range]:
        """Recordings that give the same maps if they are predicted by themselves.

        They are a clip, or stills of whole batches.

        Raises:
            UsageError: The model does not take what the dataset has.
        """
        self._check(selection)
        starts: list[int] = []
        numbered = list(enumerate(selection.recordings))
        for is_clip, group in groupby(numbered, key=lambda pair: pair[1].is_clip):
            chosen = [pair for pair in group if selection.chosen[pair[0]]]
            begin = -PART
            for place in (
                range(len(chosen)) if is_clip else _batches(chosen, self._loaded.model.batch_size)
            ):
                if is_clip or place - begin >= PART:
                    starts.append(chosen[place][0])
                    begin = place
        ends = [*starts[1:], len(numbered)]
        return [range(start, end) for start, end in zip(starts, ends, strict=True)]

    def statement(self) -> dict[str, Any]:
        """Ready for JSON."""
        loaded, model = self._loaded, self._loaded.model
        return {
            "kind": "model",
            "name": model.spec.name,
            "model": loaded.label,
            "weights": {
                "file": loaded.path.name if loaded.path else None,
                "sha256": loaded.digest,
            },
            "options": as_json(model.options),
            **loaded.changes(),
            "precision": str(model.precision).removeprefix("torch."),
            "batch size": model.batch_size,
            "device": str(model.device),
            "maps": "float32, brought to the frame's size (bilinear)",
            "kept in": str(self._save) if self._save else None,
        }

    def _check(self, selection: Selection) -> None:
        spec = self._loaded.model.spec
        kinds = {"clips" if r.is_clip else "stills" for r in selection.recordings}
        if not kinds <= spec.accepts:
            raise UsageError(
                f"model '{spec.name}' takes {' and '.join(sorted(spec.accepts))} only, but dataset "
                f"'{selection.dataset.name}' has {' and '.join(sorted(kinds))}"
            )

    def _clip(self, selection: Selection, number: int, recording: Recording) -> Iterator[FrameMap]:
        waiting = list(selection.chosen[number])
        reason = f"'{recording.source}' ends before this frame"
        try:
            for result in self._results(stimulus_of(recording)):
                if waiting and result.index == waiting[0]:
                    waiting.pop(0)
                    self._keep(
                        recording, result, selection.annotation((number, result.index)).label
                    )
                    yield FrameMap((number, result.index), _within(result))
                if not waiting:
                    return
        except InputError as error:
            reason = str(error)
        for index in waiting:
            yield FrameMap((number, index), None, reason)

    def _stills(self, group: Sequence[tuple[int, Recording]]) -> Iterator[FrameMap]:
        """Stills as one stimulus, so that they share batches; unreadable ones are left out."""
        numbers = {recording.name: (number, recording) for number, recording in group}
        waiting = list(numbers)
        stills = Stills([(recording.name, recording.source) for _, recording in group])
        stimulus = Stimulus("stills", stills, labels=stills.labels, count=len(group))
        reasons = 0

        def missing() -> FrameMap:
            nonlocal reasons
            reasons += 1
            return FrameMap((numbers[waiting.pop(0)][0], 0), None, stills.problems[reasons - 1])

        for result in self._results(stimulus):
            while waiting[0] != result.label:
                yield missing()
            number, recording = numbers[waiting.pop(0)]
            self._keep(recording, result, "")
            yield FrameMap((number, 0), _within(result))
        while waiting:
            yield missing()

    def _results(self, stimulus: Stimulus) -> Iterator[Result]:
        results = loop.run(self._loaded.model, stimulus, extras=False, notice=self._watcher.note)
        with closing(results):
            yield from results

    def _keep(self, recording: Recording, result: Result, label: str) -> None:
        if self._save is None:
            return
        name = recording.name.rpartition("/")[2]
        path = self._save / name / f"{label}.png" if label else self._save / f"{name}.png"
        atomic.write(path, png.encode(to_8bit(result.saliency, self.rounding)))


def _batch_start(stills: Sequence[tuple[int, Recording]], start: int, size: int) -> int:
    """Where the batch begins that has the first still of number `start` or more."""
    first = bisect_left(stills, start, key=lambda still: still[0])
    if first == len(stills):
        return first
    return max(takewhile(lambda place: place <= first, _batches(stills, size)), default=first)


def _batches(stills: Sequence[tuple[int, Recording]], size: int) -> Iterator[int]:
    """Where batches of at most so many stills begin."""
    count, shape = 0, None
    for place, (_, recording) in enumerate(stills):
        try:
            found = groundtruth.frame_size(recording)
        except InputError:
            continue  # it is left out of its batch
        if found != shape or count == size:
            yield place
            count, shape = 0, found
        count += 1


def stimulus_of(recording: Recording) -> Stimulus:
    """The frames of a clip, decoded lazily.

    Raises:
        InputError: They cannot be read.
    """
    if recording.frames is not None:
        files = recording.frames
        return Stimulus(
            recording.name,
            FrameFolder(files),
            labels=[annotation.label for annotation in recording.annotations],
            fps=recording.fps,
            size=groundtruth.frame_size(recording),
            count=len(files),
            source=recording.source,
        )
    video = Video(recording.source)
    return Stimulus(
        recording.name,
        video,
        fps=video.fps,
        size=video.size,
        source=recording.source,
        times=video.times,
    )


def _within(result: Result) -> Map:
    """The map clipped to [0, 1], since rounding errors outside of it have no grey level."""
    clipped: Map = np.clip(result.saliency, 0, 1)
    return clipped
