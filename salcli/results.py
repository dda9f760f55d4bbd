"""What `salcli.predict` gives: a map with its frame, as a picture, a file, in a notebook."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from salcli.errors import UsageError
from salcli.files import atomic
from salcli.maps import to_8bit
from salcli.output import png
from salcli.render import colormaps
from salcli.render import heatmap as rendering
from salcli.types import Frame, Result, Rounding

__all__ = ["PictureResult"]

ENDINGS = (".overlay.png", ".heatmap.png", ".png", ".npy", ".npz")


@dataclass(frozen=True, repr=False)
class PictureResult(Result):
    """A finished map that can be looked at and saved; see `Result` for its other attributes.

    Attributes:
        source: The file or folder that it belongs to; `None` for frames in memory.
        rounding: How the model's authors round maps to 8 bit.
    """

    source: Path | None = None
    rounding: Rounding = "nearest"

    def overlay(
        self, *, alpha: float = rendering.OPACITY, colour_map: str = colormaps.DEFAULT
    ) -> Frame:
        """The frame under its map, RGB uint8 `[H, W, 3]`; see `salcli.overlay`."""
        if self.frame is None:
            raise UsageError("this result carries no frame to lay a map over")
        return rendering.overlay(self.frame, self.saliency, alpha=alpha, colour_map=colour_map)

    def heatmap(self, *, colour_map: str = colormaps.DEFAULT) -> Frame:
        """The map in colours, RGB uint8 `[H, W, 3]`; see `salcli.heatmap`."""
        return rendering.heatmap(self.saliency, colour_map=colour_map)

    def save(self, path: str | Path) -> Path:
        """Write a file, as the command does; what it holds follows from its name.

        `NAME.overlay.png` is the frame under its map, `NAME.heatmap.png` the map in colours, other
        `.png` the map in 8-bit grey, `.npy` and `.npz` the map as float32.

        Raises:
            UsageError: The name ends otherwise.
            OutputError: The file cannot be written.
        """
        path = Path(path)
        ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
        content = io.BytesIO()
        match ending:
            case ".overlay.png":
                atomic.write(path, png.encode(self.overlay()))
            case ".heatmap.png":
                atomic.write(path, png.encode(self.heatmap()))
            case ".png":
                atomic.write(path, png.encode(to_8bit(self.saliency, self.rounding)))
            case ".npy":
                np.save(content, self.saliency)
                atomic.write(path, content.getvalue())
            case ".npz":
                np.savez_compressed(content, saliency=self.saliency)
                atomic.write(path, content.getvalue())
            case _:
                raise UsageError(f"'{path}' must end with one of {', '.join(ENDINGS)}")
        return path

    def show(self) -> None:
        """Open the overlay in the system's viewer of pictures."""
        Image.fromarray(self.overlay()).show()

    def _repr_png_(self) -> bytes:
        """The overlay, which notebooks show."""
        return bytes(png.encode(self.overlay()))

    def __repr__(self) -> str:
        """One short line: label, size, and where the peak is."""
        height, width = self.saliency.shape
        row, column = divmod(int(self.saliency.argmax()), width)
        when = "" if self.time is None else f" at {self.time:.2f} s"
        peak = float(self.saliency.max())
        return (
            f"<Result {self.label!r}{when}: {width}x{height}, peak {peak:.3g} at ({column}, {row})>"
        )
