"""A plugin's dataset needs no class of the core to be checked and packed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(salcli: Run, make_site: Callable[..., Path], install_plugins: Callable[..., None]) -> Run:
    install_plugins(make_site("salcli_dataset"))
    return salcli


def clips(root: Path, **frames: int) -> Path:
    for name, count in frames.items():
        (root / name).mkdir(parents=True)
        for number in range(1, count + 1):
            levels = np.full((6, 8), 10 * number, np.uint8)
            Image.fromarray(levels).save(root / name / f"{number:04d}.png")
    return root


def test_frames_are_compared_with_what_is_published(run: Run, tmp_path: Path) -> None:
    root = clips(tmp_path / "data", one=2, two=2)
    done = run("datasets", "check", "listed", "--root", root)
    assert done.returncode == 1
    assert "test/two: 2 frames, 3 are published" in done.stderr
    assert "test/one" not in done.stderr
    done = run("datasets", "check", "plain", "--root", root, "--every-file")
    assert "published" not in done.stderr


def test_predictions_are_packed_without_the_dataset_where_its_contents_are_published(
    run: Run, tmp_path: Path
) -> None:
    clips(tmp_path / "maps", one=2, two=3)
    done = run("datasets", "pack", "listed", "maps", "-o", "mine.zip")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert len(archive.namelist()) == 5
    done = run("datasets", "pack", "plain", "maps", "-o", "other.zip")
    assert done.returncode == 2
    assert "of 'plain' are not published" in done.stderr
