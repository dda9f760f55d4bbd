"""MIT300: the benchmark's 300 images; ground truth is withheld."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from natsort import natsorted

from salcli.datasets.collection import Collection, Found, lone_root
from salcli.datasets.framefiles import by_stem
from salcli.media.images import SUFFIXES
from salcli.types import Annotation, Recording, Submission

__all__ = ["open_mit300"]


def open_mit300(roots: Sequence[Path], options: None) -> Collection:
    """MIT300 below its root: `BenchmarkIMAGES/i1.jpg` to `i300.jpg`."""
    root = lone_root("mit300", roots)
    return Collection(
        name="mit300",
        finders={"test": partial(_find, root)},
        evaluated="test",
        kernel="mit",
        submission=Submission("{label}", (".png", ".jpg", ".jpeg"), sized=True),
        expected={"test": [f"i{number}" for number in range(1, 301)]},
    )


def _find(root: Path) -> Found:
    folders = [root / "BenchmarkIMAGES" / "BenchmarkIMAGES", root / "BenchmarkIMAGES"]
    images = by_stem(folders, SUFFIXES)
    for stem in natsorted(images):
        yield Recording(f"mit300/{stem}", images[stem], [Annotation(stem)])
