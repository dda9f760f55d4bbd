"""What changes or vanishes while an input is predicted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from salcli.errors import InputError, OutputError
from salcli.models.loading import Loaded, create
from salcli.prediction import claims
from salcli.prediction.job import Job
from salcli.prediction.manifest import OutputPaths
from salcli.terminal.progress import Silence

pytestmark = pytest.mark.usefixtures("fakes")


class Meddler(Silence):
    """Does something when the third map is there."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action, self.made = action, 0

    def step(self) -> None:
        self.made += 1
        if self.made == 3:
            self.action()


def job() -> Job:
    model = create("brightness", defaults={})
    model.batch_size = 1
    return Job(Loaded(model, None, None, None), ("png", "overlay", "csv"))


def test_an_input_that_changes_while_it_is_read(tmp_path: Path, clip_file: Path) -> None:
    source = tmp_path / "growing.mp4"
    shutil.copy(clip_file, source)
    place = OutputPaths(tmp_path / "out", "growing")

    def grow() -> None:
        with source.open("ab") as file:
            file.write(b"\0" * 100)

    with pytest.raises(InputError, match="changed while it was read"):
        job().run(source, place, watcher=Meddler(grow))
    assert place.read(single=False) is None
    assert job().run(source, place, watcher=Silence()).frames == 12
    assert place.read(single=False) is not None


def test_a_claim_counts_as_long_as_frames_pass(
    tmp_path: Path, clip_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "TOUCH", 0)
    place = OutputPaths(tmp_path / "out", "clip")
    claim = place.claim_file(single=False)
    fresh: list[bool] = []

    class Watching(Silence):
        def step(self) -> None:
            fresh.append(claim.stat().st_mtime > 0)
            os.utime(claim, (0, 0))

    assert job().run(clip_file, place, watcher=Watching()).frames == 12
    assert fresh[:6] == [True] * 6


def test_a_folder_that_vanishes_is_told_and_made_again(tmp_path: Path, clip_file: Path) -> None:
    output = tmp_path / "out"
    place = OutputPaths(output, "clip")
    vanish = Meddler(lambda: output.rename(tmp_path / "moved"))
    with pytest.raises(OutputError, match="cannot write"):
        job().run(clip_file, place, watcher=vanish)
    assert job().run(clip_file, place, watcher=Silence()).frames == 12
    record = place.read(single=False)
    assert record is not None
    assert place.is_whole(record)
