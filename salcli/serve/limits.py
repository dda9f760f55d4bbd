"""What a server takes at most, and the errors that it answers with."""

from __future__ import annotations

from dataclasses import dataclass

from salcli.errors import SalcliError

__all__ = ["LOCAL", "ServerLimits", "Refusal"]

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names under which a server on this machine alone is reached."""


@dataclass(frozen=True)
class ServerLimits:
    """What a server takes at most.

    Attributes:
        picture_bytes, clip_bytes: Of one upload.
        spool_bytes: Of all uploads and results on the disk together.
        pixels: Of a picture, or of a frame of a clip.
        clip_seconds, clip_frames: Length of a clip.
        waiting, waiting_clips: How many pictures and clips wait for the model.
        uploads: How many requests are received at the same time.
        kept_clips: How many finished clips are kept to be fetched.
        kept_seconds: How long a finished clip is kept.
        header_seconds: For the head of a request.
        receive_seconds: For a picture, from its first byte to its last; clips have ten times this.
        stall_seconds: Between two pieces of an upload, or for a piece of an answer to be taken.
        picture_seconds, clip_run_seconds: For the prediction, with the loading of its model.
        idle_seconds: After so long without work the models are unloaded.
    """

    picture_bytes: int = 32 * 2**20
    clip_bytes: int = 512 * 2**20
    spool_bytes: int = 4 * 2**30
    pixels: int = 40_000_000
    clip_seconds: float = 120.0
    clip_frames: int = 7200
    waiting: int = 256
    waiting_clips: int = 8
    uploads: int = 512
    kept_clips: int = 16
    kept_seconds: float = 900.0
    header_seconds: float = 10.0
    receive_seconds: float = 60.0
    stall_seconds: float = 20.0
    picture_seconds: float = 120.0
    clip_run_seconds: float = 3600.0
    idle_seconds: float = 600.0


class Refusal(SalcliError):
    """A request that is not fulfilled.

    Attributes:
        status: HTTP's number for the reason.
        retry_after: Seconds after which it may be tried again; `None` if that is of no use.
    """

    def __init__(self, status: int, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.retry_after = status, retry_after
