"""Names of files that are not Unicode, and folders that are gone."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from salcli import cli
from salcli.testing.fixtures import Command

NAME = os.fsdecode(b"caf\xe9\xff")
"""What a disk from another system may hold: Latin-1, and a byte that is no character."""
WRITTEN = "caf\\udce9\\udcff"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / f"{NAME}.png"
    try:
        Image.new("RGB", (64, 48), (200, 120, 40)).save(path)
    except OSError:
        pytest.skip("this file system takes Unicode only")
    return path


def test_a_name_that_is_not_unicode_goes_through_every_file(salcli: Command, photo: Path) -> None:
    place = photo.parent / NAME
    place.mkdir()
    photo.rename(place / photo.name)
    saved = ("--save", "csv", "--save", "overlay")
    assert salcli("predict", place, "-m", "brightness", *saved, "-o", "out").returncode == 0
    with (photo.parent / "out" / NAME / "saliency.csv").open(encoding="utf-8", newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == [WRITTEN]
    done = salcli("aoi", place, "-m", "brightness", "--area", "left=0,0,20,20", "-o", "out")
    assert done.returncode == 0, done.stderr
    text = (photo.parent / "out" / f"{NAME}.aoi.json").read_text("utf-8")
    assert json.loads(text)["input"]["source"].endswith(NAME)
    assert WRITTEN in (photo.parent / "out" / f"{NAME}.aoi.csv").read_text("utf-8")
    drawn = ("visualize", place, "-m", "brightness", "--contact-sheet", "-o", "out")
    assert salcli(*drawn).returncode == 0
    assert (photo.parent / "out" / "contact_sheet.jpg").is_file()


def test_standard_output_takes_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "utf-8", errors="strict"))
    cli._open_streams()
    print(NAME, flush=True)
    assert written.getvalue() == f"{WRITTEN}\n".encode()


def test_a_deleted_working_folder_is_told(
    salcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = salcli("predict", tmp_path / "a.png", "-m", "brightness", "-o", "out")
    assert done.returncode == 1
    assert "working folder was deleted" in done.stderr
