"""How good an encoded clip is: PSNR and VMAF, plain and weighted by attention."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli.encoding.offsets import Grid
from salcli.errors import OutputError
from salcli.files.atomic import temporary_folder
from salcli.media import planar
from salcli.media.encoder import ffmpeg
from salcli.media.program import reading
from salcli.media.video import Video

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame

__all__ = ["ERRORS", "Vmaf", "errors", "psnr", "vmaf"]

ERRORS = ("plain", "weighted", "attended", "rest")
"""Means of squared errors: of all pixels; weighted by attention; of the pixels that get half of the
attention; of the others."""


PEAK = 255.0

TILES, SMALLEST = 3, 96
"""VMAF is weighted by the attention of so many parts of each side, unless these are smaller."""

EVERY = 5
"""VMAF is computed of one in so many frames."""


def errors(
    pairs: Iterable[tuple[bytes, bytes]], attention: npt.NDArray[Any], grid: Grid
) -> npt.NDArray[np.float64]:
    """The `ERRORS` of the brightness of each frame `[n, 4]`.

    Args:
        pairs: Planes of a frame, and of what was encoded of it.
        attention: Of their cells, as multiples of the mean, `[n, rows, columns]`.
        grid: The cells.
    """
    found = [
        _errors(planar.luma(one, grid.frame), planar.luma(other, grid.frame), weights, grid)
        for (one, other), weights in zip(pairs, attention, strict=True)
    ]
    return np.array(found).reshape(-1, len(ERRORS))


def _errors(one: Frame, other: Frame, weights: npt.NDArray[Any], grid: Grid) -> list[float]:
    squares = np.subtract(one, other, dtype=np.int16).astype(np.float32)
    np.multiply(squares, squares, out=squares)
    rows, columns = (np.arange(0, side, grid.cell) for side in grid.frame)
    sums = np.add.reduceat(np.add.reduceat(squares, rows, axis=0), columns, axis=1)
    pixels = grid.areas * squares.size
    share = weights.astype(np.float32) * grid.areas
    order = np.argsort(-weights, axis=None)
    count = 1 + int(np.searchsorted(share.ravel()[order].cumsum(), 0.5))
    top, others = order[:count], order[count:]
    return [
        float(sums.sum() / pixels.sum()),
        float((sums / pixels * share).sum() / share.sum()),
        float(sums.ravel()[top].sum() / pixels.ravel()[top].sum()),
        float(sums.ravel()[others].sum() / max(pixels.ravel()[others].sum(), 1)),
    ]


def psnr(mean_error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error; 100 at most."""
    return float(10 * np.log10(PEAK**2 / max(mean_error, PEAK**2 * 1e-10)))


@dataclass(frozen=True)
class Vmaf:
    """VMAF of a clip, from 0 to 100: of whole frames, and weighted by the attention of parts."""

    plain: float
    weighted: float


def vmaf(video: Video, encoded: Path, attention: npt.NDArray[Any], grid: Grid) -> Vmaf:
    """VMAF of an encoded file against its source, by libvmaf's default model.

    Args:
        video: The source.
        encoded: The file.
        attention: Of the cells of each frame, as multiples of the mean, `[n, rows, columns]`.
        grid: The cells.

    Raises:
        OutputError: ffmpeg fails, for instance since it has no libvmaf.
    """
    sides = [TILES if side >= TILES * SMALLEST else 1 for side in grid.frame]
    parts = [_spans(side, count) for side, count in zip(grid.frame, sides, strict=True)]
    boxes = [(x, y, w, h) for y, h in parts[0] for x, w in parts[1]]
    whole = (0, 0, grid.frame[1], grid.frame[0])
    with temporary_folder() as folder:
        logs = [folder / f"{number}.json" for number in range(len(boxes) + 1)]
        _run_libvmaf(video, encoded, [whole, *boxes], logs)
        (indices, plain), *others = map(_read, logs)
    indices = indices[indices < len(attention)]
    values = np.stack([each for _, each in others])[:, : len(indices)]
    shares = np.stack([_shares(attention[index], grid, boxes) for index in indices], axis=1)
    return Vmaf(float(plain.mean()), float((values * shares).sum() / shares.sum()))


def _spans(side: int, count: int) -> list[tuple[int, int]]:
    """First pixel and length, both even, of so many parts of a side."""
    bounds = np.linspace(0, side // 2, count + 1).round().astype(int) * 2
    return [(int(a), int(b - a)) for a, b in pairwise(bounds)]


def _run_libvmaf(
    video: Video, encoded: Path, boxes: Sequence[tuple[int, int, int, int]], logs: Sequence[Path]
) -> None:
    count = len(boxes)
    even = "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"
    same = "format=yuv420p,settb=1/1000,setpts=N,setsar=1"
    source = ",".join([*video.filters, even, same])
    names = [(f"[a{number}]", f"[b{number}]") for number in range(count)]
    graph = [
        f"[0:v]{same},split={count}{''.join(a for a, _ in names)}",
        f"[1:v]{source},split={count}{''.join(b for _, b in names)}",
    ]
    for (x, y, width, height), log, (a, b) in zip(boxes, logs, names, strict=True):
        cut = f"crop={width}:{height}:{x}:{y}"
        path = str(log).replace("\\", "/").replace(":", "\\:")
        graph.append(f"{a}{cut}[c{a[1:]};{b}{cut}[c{b[1:]}")
        options = f"log_fmt=json:log_path={path}:n_subsample={EVERY}:n_threads=2"
        sink = ",nullsink" if log != logs[0] else "[all]"
        graph.append(f"[c{a[1:]}[c{b[1:]}libvmaf={options}{sink}")
    command = [
        *(*ffmpeg(), "-i", f"file:{encoded}", "-copyts", *reading(video.path)),
        *("-filter_complex", ";".join(graph), "-map", "[all]", "-f", "null", "-"),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode or not all(log.is_file() for log in logs):
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise OutputError(f"VMAF cannot be measured: {lines[0] if lines else 'ffmpeg failed'}")


def _read(log: Path) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Indices of frames and their VMAF, from a log of libvmaf."""
    frames = json.loads(log.read_text("utf-8"))["frames"]
    numbers = np.array([each["frameNum"] for each in frames], np.intp)
    return numbers, np.array([each["metrics"]["vmaf"] for each in frames])


def _shares(
    attention: npt.NDArray[Any], grid: Grid, boxes: Sequence[tuple[int, int, int, int]]
) -> npt.NDArray[np.float64]:
    """The share of attention of each box."""
    pixels = grid.pixels(attention.astype(np.float32))
    return np.array([pixels[y : y + h, x : x + w].sum() for x, y, w, h in boxes], np.float64)
