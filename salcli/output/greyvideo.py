"""Encodes grey maps as a lossless video, the format of NTIRE submissions."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from salcli.files.atomic import temporary_folder
from salcli.media.encoder import REPRODUCIBLE, exact, failure, ffmpeg

__all__ = ["encode"]


def encode(files: Sequence[Path], *, size: tuple[int, int], shown: Path, fps: float) -> bytes:
    """An MP4 file made of 8-bit grey PNG files of size (H, W); error messages name `shown`.

    Lossless H.264 at full range: all 256 levels are preserved.

    Raises:
        OutputError: ffmpeg fails.
    """
    layout = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"  # 4:2:0 halves both sides
    with temporary_folder() as folder:
        target = folder / "maps.mp4"
        command = [
            *(arg for arg in ffmpeg() if arg != "-nostdin"),
            *("-f", "image2pipe", "-c:v", "png", "-framerate", str(exact(fps)), "-i", "pipe:0"),
            *("-vf", f"scale=in_range=pc:out_range=pc,format={layout},setparams=range=pc"),
            *("-c:v", "libx264", "-preset", "veryfast", "-qp", "0", *REPRODUCIBLE),
            *("-f", "mp4", f"file:{target}"),
        ]
        # a map takes about ten kilobytes, so those of a clip fit into memory
        pictures = b"".join(file.read_bytes() for file in files)
        done = subprocess.run(
            command, input=pictures, stderr=subprocess.PIPE, check=False, start_new_session=True
        )
        if done.returncode:
            raise failure(shown, done.returncode, done.stderr)
        return target.read_bytes()
