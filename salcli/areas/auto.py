"""Areas that nobody drew: a grid, what attracts most attention, and blocks of text.

They are a beginning, to be corrected by hand. Text is found by its strokes: many short, strong
edges that lie close together in a row.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image
from scipy import ndimage

from salcli.areas.kinds import KINDS
from salcli.errors import InputError
from salcli.prediction import loop

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.models.loading import Loaded
    from salcli.types import Frame, Stimulus

__all__ = ["document", "find", "find_on"]

logger = logging.getLogger(__name__)

Box: TypeAlias = tuple[str, ...]
"""x, y, width, height in percent of the picture, such as `5%`."""

Pixels: TypeAlias = tuple[int, int, int, int]
"""The same in pixels."""

GRID = 3
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")

HELD = 0.5
"""Share of attention that the regions hold together."""

LEAST_REGION, MOST_REGIONS = 0.02, 6
"""Share of attention below which a region is left out, and how many are kept."""

SIDE = 960
"""Longest side at which text is searched."""

STROKE = 40.0
"""Least change of grey from a pixel to the next but one at the edge of a letter."""

GAP, LEADING = 14, 5
"""Widest gap between words, and highest between lines of a block, in pixels of that size."""

DENSE, LARGE = (0.12, 0.75), (24, 9)
"""Share of a block that is edges, and its least width and height."""

CHANGES = 4
"""Least changes between ink and paper along the rows of a block, per height of its box."""

PAPERS, LEAST_PAPER = 10, 0.4
"""Into how many greys a block is sorted, and what share the most frequent has: its paper. The
texture of photographs has none."""

NEAR = 0.75
"""Distance of words of one block, as a part of the lower one's height."""

MOST_TEXTS = 12


def find(
    frame: Frame, saliency: npt.NDArray[np.float32], kinds: Sequence[str] = KINDS
) -> dict[str, Box]:
    """Boxes by name, on a picture `[H, W, 3]` with its map `[H, W]`.

    `region 1` has most attention; texts are numbered from the top. In percent of the picture, the
    boxes fit another version of it as well.
    """
    made = {
        "grid": lambda: _grid(frame.shape[:2]),
        "regions": lambda: _regions(saliency),
        "texts": lambda: _texts(frame),
    }
    sides = (frame.shape[1], frame.shape[0]) * 2
    return {
        name: tuple(f"{100 * n / side:.4g}%" for n, side in zip(box, sides, strict=True))
        for kind in kinds
        for name, box in made[kind]().items()
    }


def find_on(stimulus: Stimulus, loaded: Loaded) -> dict[str, Box]:
    """The boxes of a picture, or of the first frame of a clip.

    Raises:
        InputError: These are several pictures, or cannot be read.
        PluginError: The model broke its contract.
    """
    if not stimulus.is_clip and stimulus.expected != 1:
        raise InputError(
            f"'{stimulus.source or stimulus.name}' is several pictures, whose areas differ; name "
            "them one by one"
        )
    with closing(
        loop.run(loaded.model, stimulus, extras=False, keep_frames=True, notice=logger.info)
    ) as results:
        first = next(results)
    assert first.frame is not None  # keep_frames
    return find(first.frame, first.saliency)


def document(found: Mapping[str, Box]) -> str:
    """The text of an `areas.json`, to be corrected by hand."""
    areas = [json.dumps({"name": name, "box": box}) for name, box in found.items()]
    return '{"areas": [\n  ' + ",\n  ".join(areas) + "\n]}\n"


def _grid(size: Sequence[int]) -> dict[str, Pixels]:
    """Three by three boxes that cover the picture; none where it is too small for them."""
    if min(size) < GRID:
        return {}
    tops, lefts = ([side * part // GRID for part in range(GRID + 1)] for side in size)
    return {
        f"{ROWS[row]} {COLUMNS[column]}": (
            lefts[column],
            tops[row],
            lefts[column + 1] - lefts[column],
            tops[row + 1] - tops[row],
        )
        for row in range(GRID)
        for column in range(GRID)
    }


def _regions(saliency: npt.NDArray[np.float32]) -> dict[str, Pixels]:
    """Bounds of the connected regions that hold half of all attention."""
    falling = np.sort(saliency, axis=None)[::-1].astype(np.float64)
    total = falling.sum()
    if total <= 0 or falling[0] == falling[-1]:
        return {}
    level = falling[np.searchsorted(np.cumsum(falling), HELD * total)]
    labels, count = ndimage.label(saliency >= level)
    shares = ndimage.sum_labels(saliency, labels, range(1, count + 1)) / total
    boxes = [_box(slices) for slices in ndimage.find_objects(labels)]
    ranked = sorted(zip(shares, boxes, strict=True), reverse=True)[:MOST_REGIONS]
    kept = [box for share, box in ranked if share >= LEAST_REGION]
    return {f"region {number}": box for number, box in enumerate(kept, start=1)}


def _texts(frame: Frame) -> dict[str, Pixels]:
    """Bounds of the largest blocks of text, from the top."""
    height, width = frame.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(3, round(width * scale)), max(3, round(height * scale))
    grey = np.asarray(
        Image.fromarray(frame).convert("L").resize(size, Image.Resampling.BOX), np.float32
    )
    blocks = _merged(list(_lines(grey)))
    largest = sorted(blocks, key=lambda box: box[2] * box[3], reverse=True)[:MOST_TEXTS]
    across, down = width / size[0], height / size[1]
    return {
        f"text {number}": (
            round(x * across),
            round(y * down),
            max(1, round(w * across)),
            max(1, round(h * down)),
        )
        for number, (x, y, w, h) in enumerate(sorted(largest, key=lambda box: box[1]), start=1)
    }


def _lines(grey: npt.NDArray[np.float32]) -> Iterator[Pixels]:
    """Words and lines: short strokes in a row, on one paper."""
    edges = np.pad(np.abs(grey[:, 2:] - grey[:, :-2]) > STROKE, ((0, 0), (1, 1)))
    joined = ndimage.binary_closing(np.pad(edges, GAP), np.ones((LEADING, GAP)))[GAP:-GAP, GAP:-GAP]
    labels, _ = ndimage.label(joined)
    for number, slices in enumerate(ndimage.find_objects(labels), start=1):
        x, y, width, height = _box(slices)
        inside = edges[slices] & (labels[slices] == number)
        rows = inside.any(axis=1)
        strokes = float((np.diff(inside[rows].astype(np.int8), axis=1) == 1).sum(axis=1).mean())
        paper = np.histogram(grey[slices], bins=PAPERS, range=(0, 256))[0].max() / inside.size
        usual = DENSE[0] <= inside.mean() <= DENSE[1] and width >= LARGE[0] and height >= LARGE[1]
        many = strokes >= CHANGES * min(1.0, width / (4 * height))
        if usual and many and width > height / 2 and paper >= LEAST_PAPER:
            yield x, y, width, height


def _merged(boxes: list[Pixels]) -> list[Pixels]:
    """Words that stand near each other, measured by their height, as one block."""
    done: list[Pixels] = []
    while boxes:
        box = boxes.pop()
        near = next((each for each in boxes if _near(box, each)), None)
        if near is None:
            done.append(box)
            continue
        boxes.remove(near)
        left, top = min(box[0], near[0]), min(box[1], near[1])
        right = max(box[0] + box[2], near[0] + near[2])
        bottom = max(box[1] + box[3], near[1] + near[3])
        boxes.append((left, top, right - left, bottom - top))
    return done


def _near(one: Pixels, other: Pixels) -> bool:
    reach = NEAR * min(one[3], other[3])
    return all(
        one[axis] - reach <= other[axis] + other[axis + 2]
        and other[axis] - reach <= one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def _box(slices: tuple[slice, ...]) -> Pixels:
    rows, columns = slices
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
