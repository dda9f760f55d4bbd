"""Writes finished pictures: JPEG, contact sheet, animated GIF."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from salcli.files import atomic
from salcli.files.atomic import replacing
from salcli.media.encoder import failure, ffmpeg
from salcli.panels.board import LARGEST_PICTURE
from salcli.types import Frame

__all__ = ["write_gif", "write_gif_of_movie", "write_jpeg", "write_sheet"]

JPEG_QUALITY = 95

LARGEST_WIDTH = 960
FASTEST = 12.5
"""Pictures per second: GIF counts hundredths of a second, and more only make it larger."""


def write_jpeg(path: Path, picture: Frame, *, comment: str) -> None:
    """Write a picture, atomically; colour keeps its full resolution, so that text stays sharp.

    Raises:
        OutputError: It cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(picture).save(
        content,
        "JPEG",
        quality=JPEG_QUALITY,
        subsampling=0,
        comment=comment.encode(errors=atomic.ESCAPED),
    )
    atomic.write(path, content.getvalue())


def write_sheet(path: Path, pictures: Sequence[Frame]) -> None:
    """Write pictures below each other, on white.

    Raises:
        OutputError: It cannot be written.
    """
    width = max(picture.shape[1] for picture in pictures)
    padded = [
        np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in pictures
    ]
    sheet = Image.fromarray(np.concatenate(padded))
    sheet.thumbnail(LARGEST_PICTURE)
    write_jpeg(path, np.asarray(sheet), comment=f"{len(pictures)} frames")


def write_gif(path: Path, pictures: Sequence[Frame], *, seconds: float) -> None:
    """Write `pictures` of one size into `path`, a GIF that loops and shows each for `seconds`.

    Raises:
        OutputError: It cannot be written.
    """
    import imageio.v3 as imageio  # takes time, and few runs need it

    shown = np.stack(pictures)
    duration = round(1000 * seconds)
    content = imageio.imwrite(
        "<bytes>", shown, extension=".gif", plugin="pillow", duration=duration, loop=0
    )
    atomic.write(path, content)


def write_gif_of_movie(path: Path, movie: Path) -> None:
    """Write a movie as a GIF, with a palette of its own.

    The movie is read twice, so that no frames are held in memory.

    Raises:
        OutputError: It cannot be written.
    """
    smaller = (
        f"fps='min({FASTEST},source_fps)',"
        f"scale=w='min({LARGEST_WIDTH},iw*sar)':h='2*round(ow/dar/2)':flags=lanczos,setsar=1"
    )
    with replacing(path) as part:
        palette = part.with_name(f"{part.name}.png")
        source = ["-i", f"file:{movie}"]
        try:
            _run(path, [*source, "-vf", f"{smaller},palettegen", "-f", "image2", f"file:{palette}"])
            graph = f"[0:v]{smaller}[small];[small][1:v]paletteuse=dither=sierra2_4a"
            _run(
                path,
                [*source, "-i", f"file:{palette}", "-lavfi", graph, "-f", "gif", f"file:{part}"],
            )
        finally:
            palette.unlink(missing_ok=True)


def _run(shown: Path, arguments: Sequence[str]) -> None:
    done = subprocess.run(
        [*ffmpeg(), *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        start_new_session=True,
    )
    if done.returncode:
        raise failure(shown, done.returncode, done.stderr)
