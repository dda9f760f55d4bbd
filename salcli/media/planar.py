"""The frames of a video as ffmpeg's encoders take them: 8-bit 4:2:0, without a way over RGB.

Sides are even: 4:2:0 halves both. A last odd row or column is cut off.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from salcli.errors import InputError
from salcli.media import program
from salcli.media.encoder import ffmpeg
from salcli.media.video import Video
from salcli.types import Frame

__all__ = ["colour_tags", "decode", "decode_file", "luma"]

TAGS = re.compile(r"Video: [^\n]*?yuvj?\d+p\w*\((tv|pc)(?:, ([\w-]+(?:/[\w-]+/[\w-]+)?))?")


def decode(video: Video) -> Generator[bytes, None, None]:
    """The planes of each frame of a video, `H * W * 3 / 2` bytes.

    Raises:
        InputError: The stream ends within a frame.
    """
    chain = [*video.filters, "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"]
    yield from _decoded(video.path, chain, video.size)


def decode_file(path: Path, size: tuple[int, int]) -> Iterator[bytes]:
    """The same of a file that was encoded here, of frames `(H, W)`."""
    yield from _decoded(path, [], size)


def luma(planes: bytes, size: tuple[int, int]) -> Frame:
    """The brightness `[H, W]` of a frame, as it is stored."""
    height, width = size
    values: npt.NDArray[np.uint8] = np.frombuffer(planes, np.uint8, height * width)
    return values.reshape(height, width)


def colour_tags(path: Path) -> list[str]:
    """Options that state the colours of an encoded file as a video states its own."""
    done = subprocess.run(
        [program.ffmpeg(), "-hide_banner", "-nostdin", *program.reading(path)],
        capture_output=True,
        check=False,
    )
    found = TAGS.search(done.stderr.decode(errors="replace"))
    if not found:
        return []
    space, *rest = (found[2] or "").split("/")
    options = ["-color_range", found[1]]
    names = ("-colorspace", "-color_primaries", "-color_trc")
    for option, value in zip(names, [space, *(rest or [space, space])], strict=True):
        if value not in ("", "unknown", "reserved", "progressive"):
            options += [option, value]
    return options


def _decoded(path: Path, chain: list[str], size: tuple[int, int]) -> Iterator[bytes]:
    height, width = size[0] // 2 * 2, size[1] // 2 * 2
    length = height * width * 3 // 2
    command = [*ffmpeg(), "-copyts", *program.reading(path), "-an", "-sn", "-dn"]
    command += ["-vf", ",".join(chain)] if chain else []
    command += ["-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            while planes := process.stdout.read(length):
                if len(planes) < length:
                    raise InputError(f"'{path}' is cut short; get a complete copy")
                yield planes
        finally:
            process.kill()
