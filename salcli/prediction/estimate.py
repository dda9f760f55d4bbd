"""Estimates what a prediction will take: frames, time, disk space; by predicting a few frames."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from salcli.errors import InputError
from salcli.files.atomic import temporary_folder
from salcli.media.open import open_stimulus
from salcli.output import writers
from salcli.prediction import loop
from salcli.prediction.job import Job
from salcli.types import Stimulus

__all__ = ["Estimate", "estimate"]

SAMPLE = 8
"""Frames of the first input that are predicted and written."""


@dataclass(frozen=True)
class Estimate:
    """What a prediction will take, finished inputs included.

    Attributes:
        inputs: Number of inputs that can be opened.
        frames: Number of frames in all; of videos what their headers promise.
        sampled: Number of frames that were predicted for this.
        seconds: Time for all frames.
        space: Bytes by format.
        free: Free bytes where the results will be.
    """

    inputs: int
    frames: int
    sampled: int
    seconds: float
    space: Mapping[str, int]
    free: int

    @property
    def fits(self) -> bool:
        """Whether the disk will hold the results."""
        return sum(self.space.values()) <= self.free


def estimate(
    job: Job, inputs: Iterable[tuple[Path, Job]], output: Path, *, failed: Callable[[str], None]
) -> Estimate:
    """Open every input, and predict the first frames of the first one into a temporary folder.

    Args:
        job: The model and the formats.
        inputs: Each with the job that says how it is opened.
        output: Folder for the results; it need not exist.
        failed: Called with the error of an input that cannot be opened.

    Raises:
        InputError: No input can be opened.
        PluginError: The model broke its contract.
    """
    sample: Stimulus | None = None
    count = frames = pixels = 0
    for path, own in inputs:
        try:
            accepts = job.loaded.model.spec.accepts
            stimulus = open_stimulus(
                path, kind=own.kind, fps=own.fps, accepts=accepts, portion=own.portion
            )
            sample = sample or _beginning(stimulus)
        except InputError as error:
            failed(str(error))
            continue
        many = stimulus.expected or 1
        count, frames = count + 1, frames + many
        pixels += many * stimulus.size[0] * stimulus.size[1]
    if sample is None or not sample.count:
        raise InputError("there are no frames to predict")
    seconds, space = _tried(job, sample)
    ratio = pixels / (sample.count * sample.size[0] * sample.size[1])
    existing = next(path for path in (output, *output.absolute().parents) if path.exists())
    return Estimate(
        count,
        frames,
        sample.count,
        seconds * frames / sample.count,
        {format_: round(found * ratio) for format_, found in space.items()},
        shutil.disk_usage(existing).free,
    )


def _beginning(stimulus: Stimulus) -> Stimulus:
    """Its first frames, as a stimulus without a source (whose sound would count as a whole)."""
    frames = list(islice(stimulus.frames, SAMPLE))
    labels = None if stimulus.labels is None else list(stimulus.labels[: len(frames)])
    times = list(stimulus.times[: len(frames)])
    return replace(
        stimulus, frames=frames, labels=labels, count=len(frames), times=times, source=None
    )


def _tried(job: Job, sample: Stimulus) -> tuple[float, dict[str, int]]:
    """Seconds that predicting and writing the sample takes, and the bytes of each format."""
    model, clip = job.loaded.model, sample.is_clip
    with temporary_folder() as folder:
        for _ in range(2):  # the first time includes what is done only once
            began = time.monotonic()
            results = loop.run(
                model,
                sample,
                size=job.size,
                scale=job.scale,
                extras=job.extras,
                keep_frames=True,
                notice=lambda _: None,
            )
            with (
                closing(results),
                writers.open_writer(
                    job.formats,
                    folder,
                    stimulus=sample,
                    rounding=model.spec.rounding,
                    single=False,
                ) as writer,
            ):
                for result in results:
                    writer.write(result)
            seconds = time.monotonic() - began
        labels = [sample.label(index) for index in range(sample.count or 0)]
        space: dict[str, int] = {}
        for format_ in job.formats:
            files = writers.shared_files([format_], folder, single=False, clip=clip)
            for label in labels:
                files += writers.files_of(label, [format_], folder, single=False, clip=clip)
            space[format_] = sum(file.stat().st_size for file in files)
        return seconds, space
