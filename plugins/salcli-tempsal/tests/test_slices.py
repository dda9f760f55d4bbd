"""Ground truth for slices of viewing time, against the goldens of the original generator."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_tempsal import slices
from scipy.io import loadmat, savemat

from .conftest import GOLDENS

Run = Callable[..., subprocess.CompletedProcess[str]]

NAME = "COCO_synth_000000000001"
MAT = GOLDENS / f"{NAME}.mat"


@pytest.fixture(scope="module")
def golden() -> Mapping[str, np.ndarray]:
    return dict(np.load(GOLDENS / f"{NAME}.npz"))


def volume(folder: Path, kind: str, name: str = NAME, count: int = 5) -> np.ndarray:
    files = sorted((folder / f"{kind}_volumes_{count}").glob(f"{name}_?.png"))
    assert [file.stem[-1] for file in files] == [str(index) for index in range(count)]
    return np.stack([np.asarray(Image.open(file)) for file in files])


def save(path: Path, observers: Sequence[Mapping[str, Any]], **content: Any) -> Path:
    """A `.mat` file in SALICON's layout."""
    kinds = [("location", "O"), ("timestamp", "O"), ("fixations", "O")]
    gaze = np.empty((len(observers), 1), dtype=kinds)
    for row, observer in zip(gaze, observers, strict=True):
        row[0] = tuple(np.asarray(observer[name], dtype=np.uint16) for name, _ in kinds)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"gaze": gaze, "image": path.stem, "resolution": [[480, 640]], **content})
    return path


def observer(*fixations: tuple[int, int], times: Sequence[int] = ()) -> dict[str, Any]:
    """An observer whose samples are exactly the fixations, at the given or at even times."""
    even = [round(5000 * k / (len(fixations) + 1)) for k in range(1, len(fixations) + 1)]
    places = np.reshape(fixations, (-1, 2))
    stamps = np.reshape(times or even, (-1, 1))
    return {"location": places, "timestamp": stamps, "fixations": places}


def test_the_command_writes_what_the_original_writes(
    golden: Mapping[str, np.ndarray], salcli: Run, tmp_path: Path
) -> None:
    run = salcli("tempsal", "slices", MAT, "-o", "out", "-v")

    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines() == [
        "slices begin at 0, 1000, 2000, 3000, 4000 ms",
        f"{MAT}: 5 slices of 20 fixations",
    ]
    fixations = volume(tmp_path / "out", "fixation")
    assert fixations.shape == (5, 480, 640)
    assert set(np.unique(fixations)) == {0, 255}
    expected = golden["fix_nonzero_t_y_x"]
    np.testing.assert_array_equal(np.argwhere(fixations), expected[np.lexsort(expected.T[::-1])])
    saliency = volume(tmp_path / "out", "saliency")
    difference = np.abs(saliency[:, ::2, ::2].astype(int) - golden["saliency_u8_s2"])
    assert difference.max() <= 1


def test_the_parts_of_the_generator_equal_the_original(golden: Mapping[str, np.ndarray]) -> None:
    found = slices.read(MAT, timestamp_weight=0.006)
    starts = slices.boundaries("equal-duration", 5, list)
    table = np.column_stack([found.times, found.places, slices.slice_indices(found.times, starts)])
    np.testing.assert_array_equal(table, golden["fixations_ts_x_y_slice"])
    assert (found.size, found.outside) == ((480, 640), 0)

    maps = torch.from_numpy(slices.fixation_slices(found, starts)).float()
    saliency = slices.saliency_slices(maps).numpy()
    np.testing.assert_allclose(saliency[:, ::8, ::8], golden["saliency_s8"], rtol=0, atol=1e-5)
    largest, mean = saliency.max(axis=(1, 2)), saliency.mean(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(largest, golden["saliency_slice_max"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(mean, golden["saliency_slice_mean"], rtol=0, atol=1e-6)


def test_the_weight_of_time_decides_between_near_samples(tmp_path: Path) -> None:
    one = {"location": [[100, 100], [103, 100]], "timestamp": [[100], [2500]]}
    path = save(tmp_path / "a.mat", [{**one, "fixations": [[100, 100]]}])

    times = [slices.read(path, timestamp_weight=w).times.tolist() for w in (0.0, 0.001, 0.002)]

    assert times == [[100], [100], [2500]]


def test_the_ways_of_slicing() -> None:
    times = [np.array([10.0, 20.0, 30.0]), np.array([40.0, 50.0, 60.0])]

    def known() -> list[np.ndarray]:
        return times

    assert slices.boundaries("equal-duration", 4, known) == [1250, 2500, 3750]
    assert slices.boundaries("equal-distribution", 5, known) == [1205, 2057, 2974, 3966]
    assert slices.boundaries("equal-distribution", 2, known) == [35]
    assert slices.boundaries("quantiles", 5, known) == [20, 30, 40, 50]
    assert slices.boundaries([7.0], 2, known) == [7]
    at = np.array([0, 1204, 1205, 2973.9, 2974, 3966, 5000])
    starts = slices.boundaries("equal-distribution", 5, known)
    assert slices.slice_indices(at, starts).tolist() == [0, 0, 1, 2, 3, 4, 4]


def test_images_can_be_shown_for_another_time(salcli: Run, tmp_path: Path) -> None:
    looking = observer((1, 1), (200, 2), (400, 3), times=(100, 4800, 6900))
    path = save(tmp_path / "in/a.mat", [looking])

    run = salcli("tempsal", "slices", path, "-n", "7", "--duration", "7000", "-o", "out", "-v")

    assert run.returncode == 0, run.stderr
    assert "slices begin at 0, 1000, 2000, 3000, 4000, 5000, 6000 ms" in run.stderr
    found = np.argwhere(volume(tmp_path / "out", "fixation", "a", 7))
    assert found.tolist() == [[0, 0, 0], [4, 1, 199], [6, 2, 399]]
    starts = slices.boundaries("equal-distribution", 5, lambda: [np.arange(5.0)], duration=7000)
    assert starts == [1, 2, 2, 3]  # SALICON's are for its five seconds only


@pytest.mark.parametrize("slicing", ["500,2600", "quantiles", "equal-distribution"])
def test_any_number_of_slices(slicing: str, salcli: Run, tmp_path: Path) -> None:
    path = save(tmp_path / "in/a.mat", [observer((1, 1), (2, 2), (3, 3), times=(100, 2500, 4999))])

    run = salcli("tempsal", "slices", path, "-n", "3", "--slicing", slicing, "-o", "out")

    assert run.returncode == 0, run.stderr
    found = np.argwhere(volume(tmp_path / "out", "fixation", "a", 3))
    assert found.tolist() == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]


def test_what_is_wrong_is_reported_and_the_rest_is_done(salcli: Run, tmp_path: Path) -> None:
    inside = observer((0, 7), (640, 480))
    folder = tmp_path / "fixations"
    save(folder / "train/good.mat", [inside, observer()])
    save(folder / "train/outside.mat", [observer((641, 3), (5, 5)), inside])
    save(folder / "val/empty.mat", [observer(), observer()])
    save(folder / "val/far.mat", [observer((900, 900))])
    save(folder / "val/untimed.mat", [{**inside, "timestamp": [[5]]}])
    save(folder / "val/unseen.mat", [{**inside, "location": [], "timestamp": []}])
    (folder / "val/broken.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut")
    savemat(folder / "val/other.mat", {"x": 1})

    run = salcli("tempsal", "slices", folder, "nowhere.mat", "-o", "out", "-q")

    assert run.returncode == 1
    errors = {
        "outside": "1 of 4 fixations lie outside of the image (640x480)",
        "empty": "holds no fixation of any of 2 observers",
        "far": "holds no fixation inside of its image (640x480)",
        "untimed": "2 samples of an observer have 1 timestamps",
        "unseen": "an observer has fixations, but no samples",
        "broken": "does not hold fixations as SALICON publishes them",
        "other": "does not hold fixations as SALICON publishes them",
        "nowhere": "does not exist",
    }
    lines = run.stderr.splitlines()
    assert len(lines) == len(errors)
    for name, words in errors.items():
        assert [words in line for line in lines if f"{name}.mat" in line] == [True], name
    done = {path.relative_to(tmp_path / "out").parent for path in (tmp_path / "out").rglob("*.png")}
    assert done == {Path(f"{kind}_volumes_5/train") for kind in ("fixation", "saliency")}
    good = np.argwhere(volume(tmp_path / "out", "fixation", "train/good"))
    assert good.tolist() == [[1, 6, 0], [3, 479, 639]]
    assert len(np.argwhere(volume(tmp_path / "out", "fixation", "train/outside"))) == 3


WRONG = {
    "a word": ("slices", MAT, "--slicing", "evenly"),
    "falling": ("slices", MAT, "--slicing", "2000,1000"),
    "no file": ("slices", "bare"),
    "same names": ("slices", MAT, f"twin/{NAME}.mat"),
    "no slice": ("slices", MAT, "-n", "0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_ends_with_2(name: str, salcli: Run, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()

    run = salcli("tempsal", *WRONG[name], "-o", "out")

    assert run.returncode == 2
    assert not (tmp_path / "out").exists()


def test_quantiles_of_nothing_are_an_error(salcli: Run, tmp_path: Path) -> None:
    path = save(tmp_path / "empty.mat", [observer()])

    run = salcli("tempsal", "slices", path, "--slicing", "quantiles", "-o", "out")

    assert run.returncode == 1
    assert "none of the files holds fixations" in run.stderr


def test_the_golden_file_is_laid_out_as_these_tests_write_theirs(tmp_path: Path) -> None:
    ours, theirs = (loadmat(p) for p in (save(tmp_path / "a.mat", [observer((1, 1))]), MAT))
    assert ours["gaze"].dtype == theirs["gaze"].dtype
    assert ours["gaze"].ndim == theirs["gaze"].ndim
    assert np.ravel(ours["resolution"]).tolist() == np.ravel(theirs["resolution"]).tolist()
