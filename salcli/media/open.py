"""Opens what the user names: a video, an image, an animation, or a folder of frames.

The content decides what a file is. A folder of frames is a clip if its files are numbered without
gaps, otherwise stills, unless the user says which. `salcli.media.inputs` finds inputs in folders.
"""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from salcli.errors import InputError, UsageError
from salcli.media.images import Animation, FrameFolder, Stills, kind_of, read
from salcli.media.inputs import find_inputs, images_in
from salcli.media.portion import WHOLE, Portion
from salcli.media.video import Video
from salcli.types import Kind, Labels, Stimulus

__all__ = ["find_inputs", "open_stimulus", "remaining"]

FOLDER_FPS = 30.0
"""Default frame rate of a clip that is a folder of frames."""

BOTH = frozenset({"stills", "clips"})


def open_stimulus(
    path: Path,
    *,
    kind: Kind = "auto",
    fps: float | None = None,
    accepts: frozenset[str] = BOTH,
    portion: Portion = WHOLE,
) -> Stimulus:
    """Open one input; decodes only its first frame (all of an animation, for its frame rate).

    Args:
        path: A video, an image, an animation, or a folder of frames.
        kind: `clip` or `stills` if the user decides. `auto`: a folder of frames is a clip if
            `fps` is given, or if its files are numbered without gaps and the model accepts clips.
        fps: Frame rate of a folder of frames, 30 by default. A video or animation has its own.
        accepts: What the model takes: `stills`, `clips` or both.
        portion: Which frames of a clip are taken.

    Raises:
        UsageError: `fps` is not above 0, or a part of stills is wanted.
        InputError: Nothing at `path` can be read. Damage further on raises an error when the
            frames are decoded.
    """
    if fps is not None and not fps > 0:
        raise UsageError(f"the frame rate must be above 0, not {fps:g}")
    try:
        if path.is_dir():
            stimulus = _open_folder(path, kind, fps=fps, accepts=accepts, portion=portion)
        else:
            stimulus = _open_file(path, kind, fps=fps, portion=portion)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}") from error
    if portion != WHOLE and not stimulus.is_clip:
        raise UsageError(f"'{path}' is not a clip, so no part of its time can be taken")
    return stimulus


def remaining(stimulus: Stimulus, done: Callable[[str], bool]) -> Stimulus:
    """Return the stills whose label is not done, without decoding the others.

    A clip is returned unchanged: the map of a frame may depend on all frames before it.
    """
    stills = stimulus.frames
    if not isinstance(stills, Stills):
        return stimulus
    rest = stills.without(done)
    return replace(
        stimulus,
        frames=rest,
        labels=rest.labels,
        problems=rest.problems,
        size=rest.first_size() or stimulus.size,
        count=0 if not rest.files else None,
    )


def _open_file(path: Path, kind: Kind, *, fps: float | None, portion: Portion) -> Stimulus:
    if not path.exists():
        what = "matches no file" if glob.has_magic(str(path)) else "does not exist"
        raise InputError(f"'{path}' {what}; check the spelling, or quote the name")
    if not path.is_file():
        raise InputError(f"'{path}' is neither a file nor a folder")
    if not path.stat().st_size:
        raise InputError(f"'{path}' is empty (0 bytes); obtain it again")
    match kind_of(path):
        case "still":
            if kind == "clip":
                return _clip([path], path, fps=fps, portion=portion)
            return _stills([path], path)
        case "animation":
            return _moving(Animation(path, portion), path, kind)
        case None:
            return _moving(Video(path, portion), path, kind)


def _open_folder(
    path: Path, kind: Kind, *, fps: float | None, accepts: frozenset[str], portion: Portion
) -> Stimulus:
    files = images_in(path)
    if not files:
        raise InputError(f"'{path}' holds no images; name a folder of frames, a video or an image")
    clip = fps is not None or ("clips" in accepts and _numbered(files))
    if kind == "clip" or (kind == "auto" and clip):
        return _clip(files, path, fps=fps, portion=portion)
    return _stills(files, path)


def _numbered(files: Sequence[Path]) -> bool:
    """Whether the stems are consecutive whole numbers."""
    if len(files) < 2 or not all(path.stem.isascii() and path.stem.isdigit() for path in files):
        return False
    numbers = [int(path.stem) for path in files]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _clip(files: Sequence[Path], source: Path, *, fps: float | None, portion: Portion) -> Stimulus:
    rate = fps or FOLDER_FPS
    timed = ((file, index / rate) for index, file in enumerate(_labelled(files)))
    taken = list(portion.of(timed))
    if not taken:
        raise InputError(f"'{source}' has no frames in this span; it is shorter")
    chosen = [path for (_, path), _ in taken]
    height, width, _ = read(chosen[0]).shape
    return Stimulus(
        name=_name(source),
        frames=FrameFolder(chosen),
        labels=[label for (label, _), _ in taken],
        fps=rate / portion.every,
        size=(height, width),
        count=len(chosen),
        source=source,
        times=[seconds for _, seconds in taken],
    )


def _stills(files: Sequence[Path], source: Path) -> Stimulus:
    stills = Stills(_labelled(files))
    size = stills.first_size()
    if size is None:
        problem = stills.problems[0]
        raise InputError(
            problem
            if len(files) == 1
            else f"none of the images in '{source}' is readable: {problem}"
        )
    return Stimulus(
        name=_name(source),
        frames=stills,
        labels=stills.labels,
        size=size,
        count=1 if len(files) == 1 else None,
        source=source,
        problems=stills.problems,
    )


def _moving(frames: Video | Animation, source: Path, kind: Kind) -> Stimulus:
    whole = Stimulus(
        name=_name(source),
        frames=frames,
        fps=frames.fps,
        size=frames.size,
        pixel_aspect=frames.pixel_aspect if isinstance(frames, Video) else Fraction(1),
        source_start=frames.first if isinstance(frames, Video) else None,
        count=frames.count if isinstance(frames, Animation) else None,
        source=source,
        times=frames.times,
    )
    return replace(whole, fps=None, times=()) if kind == "stills" else whole


def _name(source: Path) -> str:
    if source.is_file():
        return source.stem
    return source.name if source.name not in ("", "..") else source.resolve().name


def _labelled(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """Label each file with its stem; a later file whose stem is taken keeps its suffix."""
    labels = Labels()
    return [
        (labels.take(path.stem + number * path.suffix for number in itertools.count()), path)
        for path in files
    ]
