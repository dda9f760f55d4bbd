"""Finds the ffmpeg that decodes and encodes."""

from __future__ import annotations

import imageio_ffmpeg

from salcli.errors import SalcliError

__all__ = ["ffmpeg"]


def ffmpeg() -> str:
    """Path of the program: that of the package imageio-ffmpeg, or of `IMAGEIO_FFMPEG_EXE`.

    Raises:
        SalcliError: There is none.
    """
    try:
        program: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise SalcliError(
            "ffmpeg was not found; reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg"
        ) from error
    return program
