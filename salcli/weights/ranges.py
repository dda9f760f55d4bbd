"""How far an interrupted download got, and what HTTP headers say about resuming it.

A note beside the target (`<target>.json`) stores the file's validator (ETag or Last-Modified) and
length, so that a later process can resume, and whether it was resumed. Without a validator a
download starts over, because nothing could prove that the rest belongs to the beginning.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from salcli.errors import InputError
from salcli.files.jsonfile import read_json

if TYPE_CHECKING:
    from requests import Response

__all__ = [
    "PartialDownload",
    "body_length",
    "note_path",
    "retry_after",
    "size",
    "total_length",
    "was_continued",
]


@dataclass(frozen=True)
class PartialDownload:
    """An interrupted download: what its note says, and how far it got."""

    link: str
    validator: str = ""
    total: int | None = None
    offset: int = 0
    continued: bool = False

    @classmethod
    def read(cls, target: Path, link: str) -> PartialDownload:
        """The download to resume; `offset` is 0 if there is none, or if it is of another link."""
        try:
            begun = replace(read_json(note_path(target), cls), offset=size(target), continued=False)
        except InputError:
            return cls(link)
        usable = begun.validator.isascii() and begun.validator.isprintable()  # it becomes a header
        return begun if begun.link == link and begun.validator and usable else cls(link)

    def of(self, response: Response, total: int | None) -> PartialDownload:
        """A new download of the same link, as this response describes it."""
        encoded = "Content-Encoding" in response.headers  # then offsets differ
        return PartialDownload(self.link, "" if encoded else _validator(response), total)

    def going_on(self) -> PartialDownload:
        """The same download, marked as resumed by a second response."""
        return replace(self, continued=True)

    def write(self, target: Path) -> None:
        """Write the note beside `target`."""
        note = {key: value for key, value in asdict(self).items() if key != "offset"}
        note_path(target).write_text(json.dumps(note), encoding="utf-8")

    def headers(self) -> dict[str, str]:
        """Headers that request only the rest, provided that the file is unchanged."""
        if not self.offset:
            return {}
        return {"Range": f"bytes={self.offset}-", "If-Range": self.validator}

    def is_continued_by(self, response: Response) -> bool:
        """Whether a 206 starts where the file ends, and is of the same version."""
        start, total = _content_range(response)
        return (
            start == self.offset
            and (total == self.total or None in (total, self.total))
            and _validator(response) in ("", self.validator)
        )


def retry_after(response: Response) -> float | None:
    """The wait in seconds that the server asks for (as a number or as a date)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((moment.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0)


def _validator(response: Response) -> str:
    """A validator for If-Range: a strong ETag, otherwise Last-Modified, otherwise nothing."""
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return str(response.headers.get("Last-Modified", ""))


def _content_range(response: Response) -> tuple[int | None, int | None]:
    """First byte and total length that a 206 states."""
    text = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text.strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def total_length(response: Response) -> int | None:
    """Length of the whole file in bytes, if the server states it."""
    if response.status_code == 206:
        return _content_range(response)[1]
    return None if "Content-Encoding" in response.headers else body_length(response)


def body_length(response: Response) -> int | None:
    """Length of the response body in bytes, if the server states it."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def note_path(target: Path) -> Path:
    """Path of the note about an interrupted download into `target`."""
    return target.with_name(f"{target.name}.json")


def was_continued(target: Path) -> bool:
    """Whether the bytes in `target` came in more than one response."""
    try:
        return read_json(note_path(target), PartialDownload).continued
    except InputError:
        return False


def size(path: Path) -> int:
    """Size of a file in bytes; 0 if it does not exist."""
    return path.stat().st_size if path.exists() else 0
