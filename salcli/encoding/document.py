"""The document of what was encoded (`encode.json`); it also tells that an input is finished."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from salcli.errors import InputError
from salcli.files.jsonfile import read_json
from salcli.prediction.manifest import is_plain_name

__all__ = ["BitMap", "EncodeDocument", "Measured", "finished"]

VERSION = 1


@dataclass(frozen=True)
class Measured:
    """What was measured of one encoded video.

    Attributes:
        quality: The encoder's quality.
        bytes: Of the pictures, without sound.
        psnr, weighted_psnr: Of the brightness in dB, over all frames; weighted by attention.
        attended_psnr, rest_psnr: Of the parts that get half of the attention, and of the others.
        vmaf, weighted_vmaf: From 0 to 100; `None` if it was not wanted.
    """

    quality: float
    bytes: int
    psnr: float
    weighted_psnr: float
    attended_psnr: float
    rest_psnr: float
    vmaf: float | None = None
    weighted_vmaf: float | None = None


@dataclass(frozen=True)
class BitMap:
    """The QP offsets of a frame.

    Attributes:
        frame: Its number, from 0.
        side: Of a block, in pixels.
        rows: The offsets of each row of blocks, as text.
    """

    frame: int
    side: int
    rows: tuple[str, ...]


@dataclass(frozen=True)
class EncodeDocument:
    """All about the encoding of one input.

    Attributes:
        source: The input.
        maps: Where the maps came from.
        frames: How many frames.
        settings: All that determines the results.
        plain, regions: What was measured of a plain encode, and of the one with regions of
            interest; `None` if only offsets were exported.
        files: The files with their sizes in bytes.
        bits: Where bits went, at some moments.
        version: Of this document.
    """

    source: str
    maps: str
    frames: int
    settings: dict[str, Any]
    plain: Measured | None
    regions: Measured | None
    files: dict[str, int]
    bits: tuple[BitMap, ...]
    version: int = VERSION

    @property
    def saved(self) -> float | None:
        """The part of the plain encode's bytes that was saved."""
        if self.plain is None or self.regions is None:
            return None
        return 1 - self.regions.bytes / self.plain.bytes

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def finished(path: Path, settings: dict[str, Any]) -> EncodeDocument | None:
    """The document of an input that was encoded like this, if its files are all there."""
    try:
        found = read_json(path, EncodeDocument)
        whole = all(
            is_plain_name(name) and (path.parent / name).stat().st_size == size
            for name, size in found.files.items()
        )
    except (InputError, OSError):
        return None
    return found if whole and found.settings == settings else None
