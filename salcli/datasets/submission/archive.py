"""Writes predictions into the archives that benchmarks require."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from salcli.datasets.submission.find import ArchiveEntry
from salcli.files.atomic import replacing
from salcli.media import images
from salcli.media.video import Video
from salcli.output.greyvideo import encode

__all__ = ["pack", "pack_apart"]

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""Earliest time stamp of the ZIP format; a fixed one makes archives reproducible."""


def pack(entries: Sequence[ArchiveEntry], archive: Path, *, method: str) -> None:
    """Write one ZIP archive `METHOD/...`.

    Raises:
        InputError: A map cannot be read.
        OutputError: The archive cannot be written.
    """
    with (
        replacing(archive) as part,
        zipfile.ZipFile(part, "w", compression=zipfile.ZIP_STORED) as target,
    ):
        for entry in entries:
            information = zipfile.ZipInfo((Path(method) / entry.path).as_posix(), EARLIEST)
            target.writestr(information, _content(entry))


def pack_apart(entries: Sequence[ArchiveEntry], folder: Path) -> int:
    """Write an archive `CLIP.tar`, compressed with gzip, for each clip; returns their number.

    Raises:
        InputError: A map cannot be read.
        OutputError: The folder cannot be written.
    """
    by_clip: dict[str, list[ArchiveEntry]] = {}
    for entry in entries:
        by_clip.setdefault(entry.clip.name, []).append(entry)
    for name, own in by_clip.items():
        with replacing(folder / f"{name}.tar") as part, tarfile.open(part, "w:gz") as target:
            for entry in own:
                content = _content(entry)
                information = tarfile.TarInfo(entry.path.as_posix())
                information.size = len(content)
                target.addfile(information, io.BytesIO(content))
    return len(by_clip)


def _content(entry: ArchiveEntry) -> bytes:
    if len(entry.files) == 1 and entry.files[0].suffix.lower() == entry.path.suffix.lower():
        return entry.files[0].read_bytes()
    fps = Video(entry.clip.source).fps if entry.clip.source is not None else 30.0
    return encode(entry.files, size=images.size_of(entry.files[0]), shown=entry.path, fps=fps)
