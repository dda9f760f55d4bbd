"""Extracts the frames of videos into folders, as DHF1K expects them: every frame, as PNG."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from salcli.datasets import dhf1k
from salcli.datasets.collection import lone_root, some
from salcli.datasets.framefiles import listed
from salcli.datasets.open import root_of
from salcli.errors import InputError, UsageError
from salcli.files import atomic
from salcli.media.images import SUFFIXES
from salcli.media.inputs import find_inputs
from salcli.media.video import Video
from salcli.output import png
from salcli.plugins import registry
from salcli.prediction.claims import ClaimedElsewhere, claimed
from salcli.terminal.events import Watcher

__all__ = ["DHF1K_PATTERN", "Extraction", "extract", "of_dhf1k", "of_videos"]

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

    @property
    def claim_file(self) -> Path:
        """The claim of whoever extracts it."""
        folder = self.path(1).parent
        return folder.with_name(f".{folder.name}.salcli-claim")


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


def extract(job: Extraction, watcher: Watcher) -> int:
    """Extract a video; gives the number of its frames, 0 if another process works on it.

    The frames of a video appear all at once, so existing ones are complete, and are skipped.

    Raises:
        InputError: It cannot be decoded, or gives another number of frames than it should.
        OutputError: The folder cannot be written.
    """
    folder = job.path(1).parent
    watcher.start(job.video.name, job.expected)
    count, how = len(listed(folder, SUFFIXES)), "there already"
    if not count:
        try:
            with claimed(job.claim_file):
                count = len(listed(folder, SUFFIXES))  # another process may have ended since
                if not count:
                    count, how = _decode(job, folder, watcher), "extracted"
        except ClaimedElsewhere as error:
            watcher.finish(f"{job.video}: left to another process; {error}")
            return 0
    if job.expected not in (None, count):
        raise InputError(f"'{job.video}' gave {count} frames, but there should be {job.expected}")
    watcher.finish(f"{job.video}: {count} frames {how}")
    return count


def _decode(job: Extraction, folder: Path, watcher: Watcher) -> int:
    """Write all frames to a folder that is renamed when it is complete."""
    part = atomic.temporary(folder)
    count = 0
    with atomic.reporting_os_errors(folder):
        atomic.sweep(folder.parent)
        part.mkdir(parents=True)
        try:
            for count, frame in enumerate(Video(job.video), start=1):
                (part / job.path(count).name).write_bytes(png.encode(frame))
                watcher.step()
            part.replace(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return count
