"""Extracts the frames of videos into folders, as DHF1K expects them: every frame, as PNG."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from salcli.datasets import dhf1k
from salcli.datasets.collection import lone_root, some
from salcli.datasets.framefiles import listed
from salcli.datasets.open import root_of
from salcli.errors import InputError, SalcliError, UsageError
from salcli.files import atomic
from salcli.media.images import SUFFIXES
from salcli.media.inputs import find_inputs
from salcli.media.video import Video
from salcli.output import png
from salcli.plugins import registry

__all__ = ["DHF1K_PATTERN", "Extraction", "Extracted", "extract", "of_dhf1k", "of_videos"]

DHF1K_PATTERN = "annotation/{clip:0>4}/images/{frame:04d}.png"
"""Below the root, beside the maps."""

PATTERN = "{clip}/images/{frame:04d}.png"
"""Below any folder."""


@dataclass(frozen=True)
class Extraction:
    """One video and the paths of its frames.

    Attributes:
        video: The file.
        pattern: Path of a frame below `output`: `{clip}` is the stem of the video, `{number}` the
            same as a whole number, `{frame}` counts from 1.
        output: The folder below which all paths lie.
        expected: Number of frames, where it is known.
    """

    video: Path
    pattern: str
    output: Path
    expected: int | None = None

    def path(self, frame: int) -> Path:
        """Path of the frame with this number, from 1."""
        return self.output / _fill(self.pattern, self.video.stem, frame)


@dataclass(frozen=True)
class Extracted:
    """Result of one extraction.

    Attributes:
        job: The extraction.
        frames: Number of frames that exist now.
        skipped: Whether they existed before.
        problem: What went wrong; empty if nothing did.
    """

    job: Extraction
    frames: int = 0
    skipped: bool = False
    problem: str = ""


def of_videos(
    videos: Sequence[str], *, pattern: str | None = None, output: Path | None
) -> list[Extraction]:
    """A job for each of some videos, or videos in folders.

    Raises:
        UsageError: There is no output folder, or the pattern is not a path of PNG files, one folder
            for each video.
        InputError: There is none.
    """
    if output is None:
        raise UsageError("choose an output folder for the frames of these videos")
    found = [path for path in find_inputs(videos) if not path.is_dir()]
    if not found:
        raise InputError(f"there is no video in {some([str(each) for each in videos])}")
    return _jobs(dict.fromkeys(found), pattern or PATTERN, output)


def of_dhf1k(
    roots: Sequence[Path], *, pattern: str | None = None, output: Path | None
) -> list[Extraction]:
    """A job for each video of DHF1K, with the number of its maps, or its published frames.

    Raises:
        UsageError: The root is not known, or the pattern does not fit.
        InputError: There is none.
    """
    spec = registry.dataset("dhf1k")
    root = lone_root("dhf1k", roots or root_of(spec))
    videos = dhf1k.videos(root)
    if not videos:
        raise InputError(f"no videos of DHF1K below '{root}': '{root / 'video' / '001.AVI'}', ...")
    return _jobs(videos, pattern or DHF1K_PATTERN, output or root)


def _jobs(videos: Mapping[Path, int | None], pattern: str, output: Path) -> list[Extraction]:
    try:
        paths = [_fill(pattern, clip, 1) for clip in ("0001", "0002")]
        other = _fill(pattern, "0001", 2)
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(
            f"'{pattern}' must consist of {{clip}} or {{number}} and {{frame}}, like {PATTERN}"
        ) from error
    if paths[0] == other or paths[0].parent != other.parent or paths[0].suffix.lower() != ".png":
        raise UsageError(f"'{pattern}' must end in a .png file for each {{frame}}")
    if paths[0].parent == paths[1].parent:
        raise UsageError(f"'{pattern}' must have a folder for each {{clip}}")
    jobs = [Extraction(video, pattern, output, expected) for video, expected in videos.items()]
    taken: dict[Path, Path] = {}
    for job in jobs:
        twin = taken.setdefault(job.path(1), job.video)
        if twin != job.video:
            raise UsageError(f"frames of '{twin}' and '{job.video}' would go to one folder")
    return jobs


def _fill(pattern: str, clip: str, frame: int) -> Path:
    number = {"number": int(clip)} if clip.isdecimal() else {}
    return Path(pattern.format(clip=clip, frame=frame, **number))


def extract(jobs: Sequence[Extraction], *, workers: int) -> Generator[Extracted]:
    """Extract videos in parallel; yields the result of each as soon as it is finished.

    The frames of a video appear all at once, so existing ones are complete, and are skipped.
    """
    stop = Event()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_extract, job, stop) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:  # on Ctrl-C the pool waits for running jobs
            stop.set()
            for future in futures:
                future.cancel()


def _extract(job: Extraction, stop: Event) -> Extracted:
    folder = job.path(1).parent
    try:
        there = len(listed(folder, SUFFIXES))
        if there:
            return Extracted(job, there, skipped=True, problem=_mismatch(job, there))
        count = _decode(job, folder, stop)
    except SalcliError as error:
        return Extracted(job, problem=str(error))
    return Extracted(job, count, problem=_mismatch(job, count))


def _decode(job: Extraction, folder: Path, stop: Event) -> int:
    """Write all frames to a folder that is renamed when it is complete."""
    part = atomic.temporary(folder)
    count = 0
    with atomic.reporting_os_errors(folder):
        atomic.sweep(folder.parent)
        part.mkdir(parents=True)
        try:
            for count, frame in enumerate(Video(job.video), start=1):
                if stop.is_set():
                    raise SalcliError("interrupted")
                (part / job.path(count).name).write_bytes(png.encode(frame))
            part.replace(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return count


def _mismatch(job: Extraction, count: int) -> str:
    if job.expected in (None, count):
        return ""
    return f"'{job.video}' gave {count} frames, but there should be {job.expected}"
