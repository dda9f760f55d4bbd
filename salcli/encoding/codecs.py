"""The encoders of ffmpeg that honour regions of interest, and how each is told of them.

Others (SVT-AV1, libaom) ignore them without a warning, so that only what was measured is here; and
what is here is tried before it is used, since the ffmpeg of another machine may differ.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from salcli.errors import UnknownName, UsageError
from salcli.files.atomic import temporary_folder
from salcli.media.encoder import ffmpeg

__all__ = [
    "CODECS",
    "Codec",
    "Rectangle",
    "arguments",
    "check",
    "codec",
    "heeds_regions",
    "roi_filters",
]

Rectangle = tuple[int, int, int, int, int]
"""Column, row, width, height in pixels, and QP offset."""


@dataclass(frozen=True)
class Codec:
    """An encoder of ffmpeg.

    Attributes:
        name: Its name.
        options: Its options besides quality; `{quality}` and `{roi}` (a file) are filled in.
        quality: The default of its quality, whose smaller values are better.
        best, worst: Limits of the quality.
        whole: Whether it takes whole numbers only; the rest is then added to the QP offsets,
            unless these have few levels.
        scale: QP offset that a `qoffset` of 1 stands for in the filter `addroi`.
        levels: How many different offsets it takes; more are ignored.
        multiple: What the sides of frames must be multiples of.
        per_frame: Whether regions may differ from frame to frame, through a file.
    """

    name: str
    options: tuple[str, ...]
    quality: float
    best: float = 0
    worst: float = 51
    whole: bool = False
    scale: int = 51
    levels: int = 64
    multiple: int = 2
    per_frame: bool = False
    means: Literal["addroi", "file"] = "addroi"


CODECS = {
    each.name: each
    for each in (
        Codec("libx264", ("-preset", "medium", "-crf", "{quality}", "-threads", "4"), 26),
        Codec(
            "libx265",
            ("-preset", "medium", "-crf", "{quality}", "-x265-params", "log-level=error"),
            28,
        ),
        Codec(
            "libvpx-vp9",
            (
                *("-deadline", "realtime", "-cpu-used", "5", "-aq-mode", "0", "-row-mt", "1"),
                *("-b:v", "0", "-crf", "{quality}"),
            ),
            36,
            worst=63,
            whole=True,
            scale=63,
            levels=7,
        ),
        Codec(
            "libkvazaar",
            ("-kvazaar-params", "preset=fast,qp={quality}{roi}"),
            30,
            whole=True,
            multiple=8,
            per_frame=True,
            means="file",
        ),
    )
}


def codec(name: str) -> Codec:
    """The encoder of this name.

    Raises:
        UnknownName: It is not one that heeds regions of interest.
    """
    if name not in CODECS:
        raise UnknownName("encoder that heeds regions of interest", name, tuple(CODECS))
    return CODECS[name]


def arguments(one: Codec, quality: float, roi: Path | None) -> list[str]:
    """The options of ffmpeg for an encoder, with regions from a file if it takes one."""
    shown = str(int(quality)) if one.whole else f"{quality:.2f}"
    file = f",roi={roi}" if roi is not None else ""
    filled = [text.format(quality=shown, roi=file) for text in one.options]
    return ["-c:v", one.name, *filled]


def roi_filters(rectangles: Sequence[Rectangle], scale: int) -> list[str]:
    """Ffmpeg's filters that state regions of interest."""
    return [
        f"addroi={x}:{y}:{width}:{height}:{offset}/{scale}"
        for x, y, width, height, offset in rectangles
        if offset
    ]


def check(one: Codec) -> None:
    """Refuse an encoder that this ffmpeg lacks, or that ignores regions of interest.

    Raises:
        UsageError: It does.
    """
    if not heeds_regions(one):
        raise UsageError(
            f"the encoder {one.name} of this ffmpeg is missing or ignores regions of interest; "
            f"choose another of {', '.join(CODECS)}"
        )


@lru_cache
def heeds_regions(one: Codec) -> bool:
    """Whether an encoder makes a part of a noisy test picture coarser, as it is told to."""
    size, half = 128, 64
    with temporary_folder() as folder:
        roi = folder / "roi.txt"
        row = "0 " * (half // 16) + "20 " * (half // 16)
        roi.write_text((f"{size // 16} {size // 16}\n" + f"{row}\n" * (size // 16)) * 8)
        means = one.means == "file"
        plain = _test_bytes(one, [], None, size, folder / "plain.mp4")
        region = [] if means else roi_filters([(half, 0, half, size, 20)], one.scale)
        coarse = _test_bytes(one, region, roi if means else None, size, folder / "roi.mp4")
    return coarse is not None and plain is not None and coarse < 0.9 * plain


def _test_bytes(
    one: Codec, region: Sequence[str], roi: Path | None, size: int, target: Path
) -> int | None:
    """Bytes of the test picture; `None` if it cannot be encoded."""
    source = f"nullsrc=s={size}x{size}:r=8:d=1,geq=lum='random(1)*255':cb=128:cr=128"
    command = [
        *(*ffmpeg(), "-f", "lavfi", "-i", source),
        *("-vf", ",".join([*region, "format=yuv420p"])),
        *arguments(one, one.quality, roi),
        *("-f", "mp4", str(target)),
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    return target.stat().st_size if done.returncode == 0 else None
