"""Finds records of crops and encodes among inputs; apart, since it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from natsort import natsorted

__all__ = ["CROP", "ENCODE", "find_records"]

CROP, ENCODE = "crop.json", "encode.json"


def find_records(patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The records that files and folders stand for, and what stands for none."""
    found: dict[Path, None] = {}
    rest = []
    for pattern in patterns:
        path = Path(pattern).expanduser()
        files = path.rglob("*.json") if path.is_dir() else [path]
        records = [file for file in files if file.is_file() and _is_record(file)]
        found.update(dict.fromkeys(natsorted(records)))
        if not records:
            rest.append(pattern)
    return list(found), rest


def _is_record(path: Path) -> bool:
    return path.name in (CROP, ENCODE) or path.name.endswith(f".{CROP}")
