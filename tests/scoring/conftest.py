"""What tests of scores share: copies that may be broken, maps to score, and reports to read."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from salcli.media import images

Array = np.ndarray[Any, Any]


@pytest.fixture
def read() -> Callable[[Path], dict[str, Any]]:
    """Read the report in a folder."""

    def of(folder: Path) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((folder / "scores.json").read_text())
        return document

    return of


@pytest.fixture
def table() -> Callable[[Path], list[dict[str, str]]]:
    """Read the rows of a CSV file."""

    def of(path: Path) -> list[dict[str, str]]:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))

    return of


@pytest.fixture
def brightness() -> Callable[[Path], Array]:
    """What the fake model `brightness` says of a picture."""

    def of(path: Path) -> Array:
        return images.read(path).astype(np.float32).mean(axis=2) / np.float32(255)

    return of


@pytest.fixture
def osie(miniature: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy that may be broken."""
    shutil.copytree(miniature("osie"), tmp_path / "osie")
    return tmp_path / "osie"


@pytest.fixture
def store(brightness: Callable[[Path], Array]) -> Callable[..., Path]:
    """Store a PNG for each image of OSIE: its brightness, or what a function makes of it."""

    def of(root: Path, folder: Path, make: Callable[[Path], Any] = brightness) -> Path:
        folder.mkdir()
        for image in sorted((root / "images").iterdir()):
            levels = np.uint8(make(image) * 255 + 0.5)
            Image.fromarray(levels).save(folder / f"{image.stem}.png")
        return folder

    return of
