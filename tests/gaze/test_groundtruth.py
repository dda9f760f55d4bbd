"""Fixations and densities from files: exact pixels, other sizes, damaged files."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import gaussian_filter

from salcli.errors import InputError
from salcli.gaze import groundtruth
from salcli.gaze.kernels import Kernel
from salcli.types import Annotation

HEIGHT, WIDTH = 30, 40

Array = npt.NDArray[Any]


def save_mat(path: Path, observers: list[Any], size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """A file in SALICON's layout; positions are (x, y) from 1."""
    gaze = np.zeros((len(observers), 1), dtype=[("fixations", "O"), ("timestamp", "O")])
    for row, positions in enumerate(observers):
        gaze[row, 0]["fixations"] = np.array(positions, dtype=np.uint16).reshape(-1, 2)
        gaze[row, 0]["timestamp"] = np.zeros(len(positions))
    savemat(path, {"gaze": gaze, "resolution": np.array(size), "image": path.stem})
    return path


def annotation(*, fixations: Path | None = None, density: Path | None = None) -> Annotation:
    return Annotation("r", density, fixations)


def fixated_pixels(path: Path, size: tuple[int, int] = (HEIGHT, WIDTH)) -> set[tuple[int, int]]:
    points = groundtruth.read_fixations(annotation(fixations=path), size).points
    rows, columns = np.nonzero(groundtruth.fixation_map(points, size))
    return set(zip(rows.tolist(), columns.tolist(), strict=True))


def test_positions_count_from_one(tmp_path: Path) -> None:
    observers = [[(1, 1), (WIDTH, HEIGHT)], [], [(5, 3)]]
    path = save_mat(tmp_path / "a.mat", observers)
    assert fixated_pixels(path) == {(0, 0), (HEIGHT - 1, WIDTH - 1), (2, 4)}


def test_positions_outside_are_left_out(tmp_path: Path) -> None:
    path = save_mat(tmp_path / "a.mat", [[(0, 5), (5, 0), (WIDTH + 1, 5), (5, HEIGHT + 1), (2, 2)]])
    assert fixated_pixels(path) == {(1, 1)}


def test_observers_without_fixations_are_allowed(tmp_path: Path) -> None:
    path = save_mat(tmp_path / "a.mat", [[], []])
    assert fixated_pixels(path) == set()
    assert groundtruth.read_fixations(annotation(), (3, 4)).points.shape == (0, 2)


@pytest.mark.parametrize("factor", [2, 3])
def test_positions_follow_the_size_of_the_image(tmp_path: Path, factor: int) -> None:
    path = save_mat(tmp_path / "a.mat", [[(1, 1), (WIDTH, HEIGHT)]])
    large = (factor * HEIGHT, factor * WIDTH)
    middle = factor // 2
    assert fixated_pixels(path, large) == {
        (middle, middle),
        (large[0] - 1 - (factor - 1 - middle), large[1] - 1 - (factor - 1 - middle)),
    }
    assert fixated_pixels(path, (HEIGHT // 2, WIDTH // 2)) == {
        (0, 0),
        (HEIGHT // 2 - 1, WIDTH // 2 - 1),
    }


@given(
    x=st.integers(1, WIDTH), y=st.integers(1, HEIGHT), h=st.integers(1, 90), w=st.integers(1, 90)
)
@example(x=1, y=23, h=84, w=1)
def test_every_position_stays_inside_at_every_size(
    tmp_path_factory: pytest.TempPathFactory, x: int, y: int, h: int, w: int
) -> None:
    path = save_mat(tmp_path_factory.getbasetemp() / "law.mat", [[(x, y)]])
    expected = (int((y - 0.5) * h / HEIGHT), int((x - 0.5) * w / WIDTH))
    assert fixated_pixels(path, (h, w)) == {expected}


@pytest.mark.parametrize("mark", [1, 3, 255])
def test_binary_maps_of_any_mark(tmp_path: Path, mark: int) -> None:
    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    grey[0, 0] = grey[-1, -1] = grey[7, 9] = mark
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert fixated_pixels(tmp_path / "a.png") == {(0, 0), (HEIGHT - 1, WIDTH - 1), (7, 9)}


def test_binary_maps_of_one_bit_and_with_traces_of_compression(tmp_path: Path) -> None:
    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    grey[7, 9] = 255
    Image.fromarray(grey).convert("1").save(tmp_path / "bit.png")
    grey[7, 10], grey[7, 9] = 40, 249
    Image.fromarray(grey).save(tmp_path / "traces.png")
    assert fixated_pixels(tmp_path / "bit.png") == {(7, 9)}
    assert fixated_pixels(tmp_path / "traces.png") == {(7, 9)}


def test_an_empty_binary_map_has_no_fixations(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(tmp_path / "a.png")
    assert fixated_pixels(tmp_path / "a.png") == set()


def test_density_maps_are_read_as_they_are(tmp_path: Path) -> None:
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    for picture in (Image.fromarray(grey), Image.fromarray(grey).convert("RGB")):
        picture.save(tmp_path / "a.png")
        density = groundtruth.read_density(annotation(density=tmp_path / "a.png"), (60, 80))
        assert density.dtype == np.float32
        assert np.array_equal(density, grey)


def test_density_of_fixations_alone_is_a_gaussian_over_each(tmp_path: Path) -> None:
    path = save_mat(tmp_path / "a.mat", [[(10, 8), (30, 20)], [(30, 20)]])
    density = groundtruth.read_density(annotation(fixations=path), (HEIGHT, WIDTH))
    counts = np.zeros((HEIGHT, WIDTH))
    counts[7, 9], counts[19, 29] = 1, 2
    expected = gaussian_filter(counts, 0.03 * WIDTH, mode="constant")
    np.testing.assert_allclose(density, expected, rtol=0, atol=1e-6)


def test_density_of_fixations_on_a_large_image_is_small(tmp_path: Path) -> None:
    path = save_mat(tmp_path / "a.mat", [[(10, 8)]])
    density = groundtruth.read_density(annotation(fixations=path), (3000, 4000))
    assert density.shape == (600, 800)
    assert divmod(int(density.argmax()), 800) == (150, 190)


def test_where_nobody_looked_is_not_where_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a map nor fixations of the frame 'r'"):
        groundtruth.read_density(annotation(), (HEIGHT, WIDTH))
    path = save_mat(tmp_path / "a.mat", [[]])
    assert not groundtruth.read_density(annotation(fixations=path), (HEIGHT, WIDTH)).any()


def test_size_and_kernel_of_a_made_density_are_the_callers(tmp_path: Path) -> None:
    """Made smaller, it is the large one seen from afar: pixels of the kernel are the stimulus's."""
    path = save_mat(tmp_path / "a.mat", [[(200, 100)]], size=(300, 400))
    wide = Kernel("", sigma=20)
    large, small = (
        groundtruth.read_density(
            annotation(fixations=path), (300, 400), kernel=wide, largest_side=side
        )
        for side in (None, 100)
    )
    assert (large.shape, small.shape) == ((300, 400), (75, 100))
    reduced = large.reshape(75, 4, 100, 4).sum((1, 3))
    np.testing.assert_allclose(small, reduced, atol=0.1 * reduced.max())
    assert small.sum() == pytest.approx(1, rel=1e-3)


def damaged(folder: Path) -> dict[str, bytes]:
    whole = save_mat(folder / "whole.mat", [[(1, 1)]]).read_bytes()
    return {
        "empty.mat": b"",
        "text.mat": b"no matrix at all, but a text that is long enough to be read as a header" * 3,
        "cut.mat": whole[: len(whole) // 2],
        "broken.mat": whole[:140] + b"\xff" * 60 + whole[200:],
        "hdf.mat": b"MATLAB 7.3 MAT-file".ljust(116) + b"\0" * 8 + b"\x00\x02IM" + b"\x89HDF\r\n",
        "empty.png": b"",
        "text.png": b"no picture",
    }


DAMAGED = ("empty.mat", "text.mat", "cut.mat", "broken.mat", "hdf.mat", "empty.png", "text.png")


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_end_with_their_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(damaged(tmp_path)[name])
    with pytest.raises(InputError, match=name):
        groundtruth.read_fixations(annotation(fixations=path), (HEIGHT, WIDTH))
    if name.endswith(".png"):
        with pytest.raises(InputError, match=name):
            groundtruth.read_density(annotation(density=path), (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    "content",
    [
        {"resolution": [30, 40]},
        {"gaze": np.zeros((2, 1)), "resolution": [30, 40]},
        {"gaze": np.zeros((1, 1), dtype=[("location", "O")]), "resolution": [30, 40]},
        {"resolution": [30]},
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    savemat(tmp_path / "other.mat", content)
    with pytest.raises(InputError, match=r"other\.mat.*SALICON"):
        groundtruth.read_fixations(annotation(fixations=tmp_path / "other.mat"), (HEIGHT, WIDTH))


def test_a_resolution_of_nothing_is_refused(tmp_path: Path) -> None:
    path = save_mat(tmp_path / "a.mat", [[(1, 1)]], size=(0, 40))
    with pytest.raises(InputError, match="resolution"):
        groundtruth.read_fixations(annotation(fixations=path), (HEIGHT, WIDTH))
