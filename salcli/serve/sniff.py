"""Recognises clips by their first bytes, before any decoder sees them."""

from __future__ import annotations

__all__ = ["is_clip"]

BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""What an MP4 or QuickTime file may begin with, after four bytes."""


def is_clip(start: bytes) -> bool:
    """Whether a file that begins like this is a clip of a usual kind.

    What is none never reaches ffmpeg, which also reads playlists that name other files.
    """
    return (
        start[4:8] in BOXES
        or start.startswith((b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"GIF8", b"\x89PNG"))
        or (start[:4] == b"RIFF" and start[8:12] in (b"AVI ", b"WEBP"))
        or (len(start) > 188 and start[0] == start[188] == 0x47)
    )
