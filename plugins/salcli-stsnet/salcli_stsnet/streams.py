"""Inputs of the two streams: each frame of a stimulus, and the picture of its flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from salcli import Frame, Stimulus, UsageError
from salcli_stsnet.flow import METHODS, Estimator, opencv, successive
from salcli_stsnet.flowfiles import FlowFolder, read
from salcli_stsnet.pictures import Encode, no_motion

__all__ = [
    "Pair",
    "for_training",
    "twice",
    "with_estimated_flow",
    "with_flow_from",
    "without_flow",
]

Pair = tuple[Frame, Frame]
"""A frame, and the picture of its flow."""


def twice(frames: Iterable[Frame]) -> Iterator[Pair]:
    """Each frame used instead of its flow, as in the published script."""
    for frame in frames:
        yield frame, frame


def without_flow(frames: Iterable[Frame], encode: Encode) -> Iterator[Pair]:
    """Each frame with the picture of no motion."""
    picture = no_motion(encode)
    for frame in frames:
        yield frame, picture


def with_estimated_flow(
    frames: Iterable[Frame],
    estimator: Estimator,
    *,
    encode: Encode,
    forward: bool = False,
    cuts: float | None = None,
) -> Iterator[Pair]:
    """Each frame of a clip with the picture of the flow into it, or `forward` out of it.

    The first frame takes the flow of the second one; the last frame's forward flow is that of the
    frame before. A clip of one frame has no motion.
    """
    pairs = (
        (frame, None if field is None else encode(field))
        for frame, field in successive(frames, estimator, cuts=cuts)
    )
    return _filled(_earlier(pairs) if forward else pairs, encode)


def for_training(
    frames: Sequence[Frame], source: str, *, encode: Encode, forward: bool, cuts: float | None
) -> Iterator[Pair]:
    """Each of a few frames with the picture of the flow into it.

    Args:
        frames: Of a clip, or a still.
        source: `none`, or a method to compute flow.
        encode: Turns flow into a picture.
        forward: Whether flow out of a frame is wanted, which is not available.
        cuts: As for `successive`.

    Raises:
        UsageError: This flow is not available in training.
    """
    if source == "none" or (source in METHODS and len(frames) == 1):
        return without_flow(frames, encode)
    if source not in ("dis", "farneback"):
        raise UsageError(
            f"the option 'flow' is '{source}', but training supports only dis or farneback"
        )
    if forward:
        raise UsageError(
            "the option 'flow_direction' is 'forward', but training sees the frame before, not the "
            "next one"
        )
    return with_estimated_flow(frames, opencv(source), encode=encode, cuts=cuts)


def with_flow_from(
    folder: FlowFolder, stimulus: Stimulus, *, encode: Encode, forward: bool = False
) -> Iterator[Pair]:
    """Each frame with its file from a folder.

    In a clip, the first frame may lack a file, or the last one for forward flow; it takes its
    neighbour's flow.

    Raises:
        InputError: A file is missing or damaged.
    """
    return _filled(_from_folder(folder, stimulus, encode, forward=forward), encode)


def _from_folder(
    folder: FlowFolder, stimulus: Stimulus, encode: Encode, *, forward: bool
) -> Iterator[tuple[Frame, Frame | None]]:
    lacking: str | None = None
    for index, frame in enumerate(stimulus.frames):
        if lacking is not None:  # so that was not the last frame
            raise folder.missing(lacking)
        label = stimulus.label(index)
        path = folder.find(label)
        if path is None and not (stimulus.is_clip and (forward or index == 0)):
            raise folder.missing(label)
        if path is None and forward:
            lacking = label
        yield frame, None if path is None else read(path, encode)


def _earlier(pairs: Iterator[tuple[Frame, Frame | None]]) -> Iterator[tuple[Frame, Frame | None]]:
    """Each frame with the next one's picture; the last has none."""
    previous: Frame | None = None
    for frame, picture in pairs:
        if previous is not None:
            yield previous, picture
        previous = frame
    if previous is not None:
        yield previous, None


def _filled(pairs: Iterator[tuple[Frame, Frame | None]], encode: Encode) -> Iterator[Pair]:
    """A frame without a picture takes the next one's, or the previous one's at the end."""
    waiting: list[Frame] = []
    latest: Frame | None = None
    for frame, picture in pairs:
        waiting.append(frame)
        if picture is not None:
            yield from ((early, picture) for early in waiting)
            waiting, latest = [], picture
    rest = no_motion(encode) if latest is None else latest
    yield from ((late, rest) for late in waiting)
