"""The inputs of a split of a dataset, to be predicted into the layout of its benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from salcli.errors import InputError, UsageError
from salcli.prediction.manifest import OutputPaths
from salcli.prediction.task import MapVideo, PredictionTask
from salcli.types import Dataset, Recording

__all__ = ["tasks"]


def tasks(dataset: Dataset, split: str, output: Path) -> Iterator[PredictionTask]:
    """One for each recording of a split.

    Raises:
        UnknownName: There is no such split.
        UsageError: The dataset has no submission format.
        InputError: No file of the split is found.
    """
    submission = dataset.submission
    if submission is None:
        raise UsageError(
            f"dataset '{dataset.name}' has no submission format; "
            "predict its images or videos by path"
        )
    for recording in dataset.recordings(split):
        if not len(recording.annotations):
            raise InputError(f"'{recording.source}' has no frames")
        path = output / submission.path(recording, recording.annotations[0])
        place, video = OutputPaths(path.parent, path.stem), None
        if submission.is_video:
            assert recording.fps is not None
            video = MapVideo(path, recording.fps, len(recording.annotations))
        elif recording.is_clip:
            place = OutputPaths(path.parent.parent, path.parent.name)
        yield PredictionTask(recording.source, place, _overrides(recording), video)


def _overrides(recording: Recording) -> dict[str, object]:
    """What is known of a recording, as settings of `Job`."""
    if recording.frames is None:
        labels, fps = None, None
    else:
        labels, fps = [each.label for each in recording.annotations], recording.fps
    return {"kind": "clip" if recording.is_clip else "stills", "fps": fps, "labels": labels}
