"""QP offsets and maps of every frame, as other encoders read them.

| format | file | content |
| --- | --- | --- |
| `kvazaar` | `roi.txt` | per frame `W H`, then W x H offsets of 16 x 16 pixels, row by row |
| `ctu` | `ctu.csv` | a line per frame: offsets of 128 x 128 pixels in raster order, with commas |
| `csv` | `qp.csv` | `frame,row`, then the offsets of that row of blocks of 16 x 16 pixels |
| `npy` | `qp.npy` | int8 `[frames, rows, columns]`, of blocks of 16 x 16 pixels |
| `grey` | `attention.mp4` | lossless grey video: attention, 255 at the peak of each frame |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from salcli.encoding.offsets import Grid, offsets
from salcli.encoding.segments import write_kvazaar
from salcli.files.atomic import replacing
from salcli.output.movie import Movie
from salcli.types import Result

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["EXPORTS", "OffsetExport"]

CTU = 128
"""Side of the largest blocks of VVC."""


@dataclass(frozen=True)
class OffsetExport:
    """What is exported of a clip.

    Attributes:
        records: See `salcli.cropping.measured.FrameRecords.array`, of the cells' attention.
        grid: The cells.
        strength: See `offsets`.
        fps: Frames per second.
    """

    records: Any
    grid: Grid
    strength: float
    fps: float

    def attention(self) -> Iterator[npt.NDArray[np.float32]]:
        """Of the cells of each frame."""
        for record in self.records:
            yield record["attention"].astype(np.float32).reshape(self.grid.shape)

    def blocks(self, side: int) -> Iterator[npt.NDArray[np.int8]]:
        """Offsets of the blocks of each frame."""
        for cells in self.attention():
            yield self.grid.blocks(offsets(cells, self.strength), side)


def _kvazaar(export: OffsetExport, path: Path) -> None:
    with replacing(path) as part, part.open("w", encoding="ascii") as file:
        for cells in export.blocks(16):
            write_kvazaar(file, cells)


def _ctu(export: OffsetExport, path: Path) -> None:
    with replacing(path) as part, part.open("w", encoding="ascii") as file:
        for cells in export.blocks(CTU):
            file.write("".join(f"{value}," for value in cells.ravel().tolist()) + "\n")


def _csv(export: OffsetExport, path: Path) -> None:
    with replacing(path) as part, part.open("w", encoding="ascii") as file:
        for index, cells in enumerate(export.blocks(16)):
            for row, values in enumerate(cells.tolist()):
                file.write(f"{index + 1},{row}," + ",".join(map(str, values)) + "\n")


def _npy(export: OffsetExport, path: Path) -> None:
    shape = (len(export.records), *next(export.blocks(16)).shape)
    with replacing(path) as part:
        file = np.lib.format.open_memmap(part, "w+", np.int8, shape)
        for index, cells in enumerate(export.blocks(16)):
            file[index] = cells
        file.flush()


def _grey(export: OffsetExport, path: Path) -> None:
    with replacing(path) as part:
        movie = Movie(
            part,
            shown=path,
            draw=lambda result: grey_picture(result.saliency, export.grid),
            fps=export.fps,
            source=None,
            quality=None,
        )
        try:
            for index, cells in enumerate(export.attention()):
                time = float(export.records[index]["time"])
                movie.add(Result(index, f"{index + 1:04d}", time, cells))
            movie.finish()
        except BaseException:
            movie.discard()
            raise


def grey_picture(cells: npt.NDArray[np.float32], grid: Grid) -> npt.NDArray[np.uint8]:
    """The attention of cells as a grey picture `[H, W]`, 255 at the peak."""
    levels = np.rint(cells * (255 / max(float(cells.max()), 1e-6))).astype(np.uint8)
    size = (grid.shape[1] * grid.cell, grid.shape[0] * grid.cell)
    whole = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BILINEAR))
    return np.ascontiguousarray(whole[: grid.frame[0], : grid.frame[1]])


EXPORTS: dict[str, tuple[str, Callable[[OffsetExport, Path], None]]] = {
    "kvazaar": ("roi.txt", _kvazaar),
    "ctu": ("ctu.csv", _ctu),
    "csv": ("qp.csv", _csv),
    "npy": ("qp.npy", _npy),
    "grey": ("attention.mp4", _grey),
}
"""Formats: the file, and what writes it."""
