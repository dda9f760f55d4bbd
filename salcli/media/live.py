"""Cameras and streams: always the newest frame, with its own time.

Frames that come while the model works are dropped.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from salcli.errors import InputError
from salcli.media import decoder
from salcli.media.images import MOST_PIXELS
from salcli.media.portion import Portion
from salcli.media.video import frame_rate
from salcli.types import Frame, Stimulus

__all__ = ["Live", "arguments", "connected", "is_live", "is_stream", "public"]

CAMERA = "camera:"

SILENCE = 10
"""Seconds without a sign of a server after which ffmpeg gives up."""

PATIENCE = 20.0
"""Seconds without a frame after which any source counts as broken."""


def is_stream(text: str) -> bool:
    """Whether a text is an address of RTSP."""
    return urlsplit(text).scheme.lower() in ("rtsp", "rtsps")


def is_live(text: str) -> bool:
    """Whether a text names a camera or a stream."""
    return text.startswith(CAMERA) or is_stream(text)


def public(text: str) -> str:
    """The name of a camera or stream without user, password and query."""
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if is_stream(text) else text


def arguments(text: str, platform: str = sys.platform) -> list[str]:
    """Arguments of ffmpeg for reading a camera or stream on a platform, as of `sys.platform`."""
    limits = ["-max_pixels", str(MOST_PIXELS)]
    if is_stream(text):
        protocols = ["-protocol_whitelist", "rtsp,rtsps,rtp,tcp,tls"]
        patience = ["-rtsp_transport", "tcp", "-timeout", str(SILENCE * 10**6)]
        return [*limits, *protocols, *patience, "-i", text]
    name = text.removeprefix(CAMERA)
    if platform == "darwin":
        return [*limits, "-f", "avfoundation", "-framerate", "30", "-i", f"{name}:none"]
    if platform == "win32":
        return [*limits, "-f", "dshow", "-i", f"video={name}"]
    return [*limits, "-f", "v4l2", "-i", f"/dev/video{name}" if name.isdigit() else name]


class Live:
    """The frames of a camera or stream that is being read; made by `connected`.

    An iteration yields RGB uint8 `[H, W, 3]`, each time the newest frame that was not yielded yet;
    it waits for one if need be, and ends after the portion, or when it is stopped.

    Attributes:
        address: What is read, without passwords.
        started: When the first frame came.
        seen, taken: How many frames came, and how many of them were yielded.
        times: Seconds since the first frame, of each frame yielded.
    """

    def __init__(self, text: str, portion: Portion) -> None:
        self._text, self._portion = text, portion
        self.address = public(text)
        self.started = datetime.now(UTC)
        self.seen = self.taken = 0
        self.times: list[float] = []
        self._size, self._fps = (0, 0), 0.0
        self._changed, self._newest = threading.Condition(), list[tuple[Frame, float]]()
        self._over = self._stopped = False
        self._heard = time.monotonic()
        self._problem: BaseException | None = None
        self._run: decoder.DecoderProcess | None = None
        self._thread = threading.Thread(target=self._read, name="salcli-live", daemon=True)

    @property
    def name(self) -> str:
        """Name for the results: the address and the start."""
        plain = re.sub(r"[^\w.]+", "-", self.address.rpartition("://")[2]).strip("-.")
        return f"{plain}-{self.started:%Y%m%dT%H%M%SZ}"

    @property
    def state(self) -> Mapping[str, Any]:
        """What tells it from all other inputs."""
        return {"name": self.address, "started": self.started.isoformat()}

    @property
    def account(self) -> str:
        """How many frames were seen and dropped, in one line."""
        dropped = self.seen - self.taken
        return f"{self.address}: {self.seen} frames seen, {dropped} of them dropped to keep pace"

    def stimulus(self) -> Stimulus:
        """Itself as a clip."""
        return Stimulus(self.name, self, fps=self._fps, size=self._size, times=self.times)

    def stop(self) -> None:
        """End the iteration; may be called by a signal handler."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def connect(self) -> None:
        """Start reading, and wait for the first frame.

        Raises:
            InputError: None comes.
        """
        self._thread.start()
        self._wait()
        if not self._newest:
            raise self._problem or InputError(f"'{self.address}' gave no frame in this span")

    def close(self) -> None:
        """Stop reading."""
        self.stop()
        if self._run is not None:
            self._run.process.kill()
        self._thread.join()

    def __iter__(self) -> Iterator[Frame]:
        """The newest frames.

        Raises:
            InputError: The source broke; raised after its last frame.
        """
        index = 0
        while True:
            self._wait()
            with self._changed:
                if not self._newest or (self._stopped and self.taken):
                    break
                frame, seconds = self._newest.pop()
            self.taken += 1
            self.times[index:] = [seconds]
            index += 1
            yield frame
        if self._problem and not self._stopped:
            raise self._problem

    def _wait(self) -> None:
        """Wait until there is a new frame, or no more will come."""
        with self._changed:
            while not self._changed.wait_for(
                lambda: self._newest or self._over or self._stopped, timeout=PATIENCE
            ):
                if time.monotonic() - self._heard > PATIENCE:
                    self._over = True
                    self._problem = self._broken(f"no frame for {PATIENCE:.0f} seconds")

    def _read(self) -> None:
        """In a thread: keep the newest frame."""
        try:
            with decoder.decoding(arguments(self._text), []) as self._run:
                for frame, seconds in self._portion.of(self._timed(self._run)):
                    with self._changed:
                        self._newest[:] = [(frame, seconds)]
                        self.seen += 1
                        self._changed.notify_all()
                    if self._stopped:
                        break
        except BaseException as error:  # whatever it is, raise it where the frames are taken
            self._problem = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _timed(self, run: decoder.DecoderProcess) -> Iterator[tuple[Frame, float]]:
        """Each frame with its seconds since the first; raises an error at the end."""
        first: float | None = None
        if self._stopped:
            return
        for frame, stamp, timed in run:
            self._heard = time.monotonic()
            if first is None:
                first, self.started = stamp, datetime.now(UTC)
                self._size = frame.shape[0], frame.shape[1]
                self._fps = frame_rate(run.text(), run.rate, timed=timed)
            yield frame, stamp - first
        reason = run.failure() or "the other side ended it"
        raise self._broken(reason.replace(self._text, self.address))

    def _broken(self, reason: str) -> InputError:
        what = f"ended after {self.seen} frames" if self.seen else "cannot be read"
        return InputError(
            f"'{self.address}' {what}: {reason}; check its name, that it is running, and that no "
            "other program has it"
        )


@contextmanager
def connected(text: str, portion: Portion) -> Iterator[Live]:
    """Read a camera or stream until the block ends.

    Args:
        text: `camera:N`, `camera:NAME`, or an address of RTSP.
        portion: Which of its frames count.

    Raises:
        InputError: It gives no frame.
    """
    live = Live(text, portion)
    try:
        live.connect()
        yield live
    finally:
        live.close()
