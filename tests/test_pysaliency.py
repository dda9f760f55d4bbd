"""The HDF5 files of pysaliency: datasets and predictions, there and back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from salcli.errors import InputError, UsageError
from salcli.gaze import groundtruth, pysaliency
from salcli.gaze.files import read
from salcli.scoring.hdf5export import export
from salcli.types import Annotation, Recording

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def exported(salcli: Run, miniature: Callable[[str], Path], tmp_path: Path) -> Path:
    """A dataset with the maps of a model, in a folder."""
    root = miniature("osie")
    maps = tmp_path / "maps"
    made = salcli("predict", root / "images", "-m", "centre", "--save", "npy", "-o", maps)
    assert made.returncode == 0, made.stderr
    words = ("--root", root, "--predictions", maps / "images", "-o", tmp_path / "hdf5")
    done = salcli("datasets", "export", "osie", *words)
    assert done.returncode == 0, done.stderr
    return tmp_path / "hdf5"


def test_scores_are_the_same_there_and_back(
    salcli: Run, miniature: Callable[[str], Path], exported: Path, tmp_path: Path
) -> None:
    common = ["--metrics", "NSS", "--baselines", "none", "--json"]
    osie = [
        "--data",
        "osie",
        "--root",
        miniature("osie"),
        "--predictions",
        tmp_path / "maps/images",
    ]
    other = ["--data", "pysaliency", "--root", exported]
    other += ["--predictions", exported / "predictions.hdf5"]
    found = []
    for name, words in (("a", osie), ("b", other)):
        done = salcli("score", *words, *common, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        (document,) = json.loads(done.stdout)
        found.append(document["scores"]["NSS"]["images"]["mean"])

    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_the_files_are_as_pysaliency_writes_them(exported: Path) -> None:
    with h5py.File(exported / "stimuli.hdf5") as file:
        assert (file.attrs["type"], file.attrs["version"]) == (b"FileStimuli", b"2.1")
        names = [name.decode() for name in file["filenames"]]
        assert file.attrs["size"] == len(names) == 12
        assert all((exported / name).is_file() for name in names)
        assert file["shapes"][0].tolist()[2] == 3
    with h5py.File(exported / "fixations.hdf5") as file:
        assert (file.attrs["type"], file.attrs["version"]) == (b"Fixations", b"1.2")
        assert json.loads(file.attrs["__attributes__"]) == ["subject"]
        columns = {"x", "y", "t", "x_hist", "y_hist", "t_hist", "n", "lengths", "subject"}
        assert set(file) == columns
        assert len({len(file[name]) for name in columns}) == 1
        assert set(file["n"][:]) <= set(range(12))
    with h5py.File(exported / "predictions.hdf5") as file:
        assert len(file) == 12
        assert file[Path(names[0]).name].dtype == np.float32


def scanpaths(path: Path, kind: str) -> Path:
    xs = np.array([[1.5, 2.5, np.nan], [8.0, np.nan, np.nan], [3.0, 4.0, 5.0]])
    group, prefix = ("", "train_") if kind == "FixationTrains" else ("scanpaths/", "")
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_(kind), np.bytes_("1.0")
        file[f"{group}{prefix}xs"], file[f"{group}{prefix}ys"] = xs, xs + 10
        file[f"{group}{'train_ns' if prefix else 'n'}"] = np.array([0, 1, 0])
        place = "train_subjects" if prefix else "scanpaths/scanpath_attributes/subject"
        file[place] = np.array([7, 8, 9])
    return path


@pytest.mark.parametrize("kind", ["FixationTrains", "ScanpathFixations"])
def test_scanpaths_are_the_fixations_in_them(tmp_path: Path, kind: str) -> None:
    path = scanpaths(tmp_path / "f.hdf5", kind)

    first = read(Annotation("a", fixations=path, index=0))
    assert first.points[:, 0].tolist() == [1.5, 2.5, 3.0, 4.0, 5.0]
    assert first.points[0].tolist() == [1.5, 11.5]
    assert first.observers.tolist() == [7, 7, 9, 9, 9]
    assert groundtruth.read_fixations(Annotation("b", fixations=path, index=1), (9, 9)).outside == 1


def test_predictions_are_found_by_the_end_of_a_path(tmp_path: Path) -> None:
    path = tmp_path / "p.hdf5"
    density = np.log(np.array([[0.1, 0.2], [0.3, 0.4]]))
    maps = {
        "a/1.png": density,
        "b/1.png": np.array([[2.0, 4.0]]),
        "c.png": np.array([[np.inf, 0.0]]),
    }
    pysaliency.write_predictions(path, maps.items())
    found = pysaliency.Predictions(path)

    assert found.name_for(Path("/data/x/a/1.png")) == "a/1.png"
    assert found.name_for(Path("/data/x/1.png")) is None
    assert found.read("a/1.png") == pytest.approx(np.array([[0.25, 0.5], [0.75, 1.0]]))
    assert found.read("b/1.png").tolist() == [[0.5, 1.0]]
    with pytest.raises(InputError, match="is no map"):
        found.read("c.png")


def test_names_are_as_short_as_they_can_be() -> None:
    names = pysaliency.shortest_names([Path("/d/a/1.png"), Path("/d/b/1.png"), Path("/d/b/2.png")])
    assert names == ["a/1.png", "b/1.png", "b/2.png"]


def test_what_is_wrong_is_told(tmp_path: Path, clip_file: Path) -> None:
    (tmp_path / "text.hdf5").write_text("no HDF5")
    scanpaths(tmp_path / "f.hdf5", "FixationTrains")
    with pytest.raises(InputError, match="cannot be read as HDF5"):
        pysaliency.read_stimuli(tmp_path / "text.hdf5")
    with pytest.raises(InputError, match="holds 'FixationTrains', not FileStimuli"):
        pysaliency.read_stimuli(tmp_path / "f.hdf5")
    with pytest.raises(UsageError, match="pysaliency has no clips"):
        export([Recording("clip", clip_file, [], fps=25.0)], tmp_path)
