"""Reads density maps stored as a video, one frame at a time, at full bit depth.

Frames of a video can only be decoded in order, so the decoder stays open between calls: reading the
frames of a clip in order decodes each once; going back restarts.
"""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from salcli.errors import InputError
from salcli.media.encoder import ffmpeg
from salcli.media.program import reading

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["count_frames", "read"]

OPEN_DECODERS = 2
"""Limit of open decoders; each is a process with some frames in memory."""

LARGEST = 65535


class _Decoder:
    """An ffmpeg process that writes grey 16-bit pictures; `index` is the latest one's."""

    def __init__(self, path: Path) -> None:
        self.owner, self.index = os.getpid(), -1
        self._path = path
        self._latest: npt.NDArray[np.float32] | None = None
        self._process = subprocess.Popen(
            [
                *(*ffmpeg(), *reading(path), "-map", "0:v:0", "-fps_mode", "passthrough"),
                *("-pix_fmt", "gray16be", "-c:v", "pgm", "-f", "image2pipe", "pipe:1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def seek(self, index: int) -> npt.NDArray[np.float32]:
        """The picture at `index`, which must not precede the latest one."""
        while self.index < index or self._latest is None:
            self._latest = self._next()
            self.index += 1
        return self._latest

    def _next(self) -> npt.NDArray[np.float32]:
        pipe = self._process.stdout
        assert pipe is not None
        if pipe.readline() != b"P5\n":
            raise InputError(
                f"'{self._path}' has no frame {self.index + 2}: it is not a video of density maps, "
                "or is cut short; get a complete copy"
            )
        width, height = map(int, pipe.readline().split())
        pipe.readline()  # the largest value
        levels = np.frombuffer(pipe.read(2 * width * height), ">u2")
        if levels.size != width * height:
            raise InputError(f"'{self._path}' is cut short in frame {self.index + 2}")
        picture: npt.NDArray[np.float32] = levels.reshape(height, width).astype(np.float32)
        return picture / np.float32(LARGEST)

    def close(self) -> None:
        """End the decoder, unless it was inherited through a fork."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


_decoders: OrderedDict[tuple[int, Path], _Decoder] = OrderedDict()
_lock = threading.Lock()


def read(path: Path, index: int) -> npt.NDArray[np.float32]:
    """The map `[H, W]` in [0, 1] at an index, from 0.

    Raises:
        InputError: The file is not a video, or has fewer frames.
    """
    key = os.getpid(), path  # a forked process must open its own
    with _lock:
        decoder = _decoders.pop(key, None)
        if decoder is not None and decoder.index > index:
            decoder.close()
            decoder = None
        decoder = decoder or _Decoder(path)
        try:
            picture = decoder.seek(index)
        except InputError:
            decoder.close()
            raise
        _decoders[key] = decoder
        while len(_decoders) > OPEN_DECODERS:
            _decoders.popitem(last=False)[1].close()
        return picture


@atexit.register
def _close_all() -> None:
    while _decoders:
        _decoders.popitem()[1].close()


def count_frames(path: Path) -> int:
    """Number of frames in a video, counted by packets without decoding.

    Raises:
        InputError: The file is not a video.
    """
    done = subprocess.run(
        [
            *(*ffmpeg(), "-stats", *reading(path), "-map", "0:v:0"),
            *("-c", "copy", "-f", "null", "-"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        start_new_session=True,
    )
    counts = re.findall(rb"frame=\s*(\d+)", done.stderr)
    if done.returncode or not counts:
        raise InputError(f"'{path}' is not a readable video; check that it is complete")
    return int(counts[-1])
