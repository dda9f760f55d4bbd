"""Finds the ffmpeg that decodes and encodes, and says how it may read a file."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg

from salcli.errors import SalcliError
from salcli.media.images import MOST_PIXELS

__all__ = ["ffmpeg", "reading"]


def ffmpeg() -> str:
    """Path of the program: from the package imageio-ffmpeg, or from `IMAGEIO_FFMPEG_EXE`.

    Raises:
        SalcliError: ffmpeg was not found.
    """
    try:
        program: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise SalcliError(
            "ffmpeg was not found; reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg"
        ) from error
    return program


def reading(path: Path) -> list[str]:
    """Arguments for reading a file.

    A playlist may name other files, but nothing that needs the network, and pictures have the same
    size limit as images.
    """
    limits = ["-protocol_whitelist", "file,crypto,data", "-max_pixels", str(MOST_PIXELS)]
    return [*limits, "-i", f"file:{path}"]
