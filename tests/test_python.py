"""`salcli.predict` in Python and notebooks: what it takes, how lazily, and what its results do."""

from __future__ import annotations

import doctest
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import salcli
from salcli import api
from salcli.errors import InputError, OutputError, UsageError

pytestmark = pytest.mark.usefixtures("fakes")


def colours(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (12, 20, 3), np.uint8)


def saliency(source: object) -> np.ndarray:
    (result,) = salcli.predict(source, model="brightness")
    return result.saliency


def test_pictures_of_every_kind_are_the_same_picture() -> None:
    rgb = colours()
    expected = saliency(rgb)
    for same in (
        Image.fromarray(rgb),
        np.dstack([rgb, np.full((12, 20), 255, np.uint8)]),
        torch.from_numpy(rgb).permute(2, 0, 1),
        [rgb],
        rgb[None],
        torch.from_numpy(rgb).permute(2, 0, 1)[None],
        salcli.Stimulus("mine", [rgb], size=(12, 20)),
        iter([Image.fromarray(rgb)]),
    ):
        assert np.array_equal(saliency(same), expected)


def test_grey_is_repeated_and_transparent_parts_become_mid_grey(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    expected = saliency(np.dstack([grey] * 3))
    for same in (grey, grey[..., None], Image.fromarray(grey), torch.from_numpy(grey)[None]):
        assert np.array_equal(saliency(same), expected)
    clear = np.dstack([colours(), np.zeros((12, 20), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert np.array_equal(saliency(clear), saliency(tmp_path / "clear.png"))
    assert np.ptp(saliency(clear)) == 0


def test_an_endless_iterable_is_taken_lazily() -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield colours(taken)

    results = salcli.predict(endless(), model="brightness", fps=25, batch_size=2)
    assert taken == 1
    first, second = next(results), next(results)
    assert (first.label, second.time) == ("0001", 0.04)
    assert taken < 20


def test_an_iterator_cannot_be_gone_through_again() -> None:
    frames = (colours(seed) for seed in range(12))
    with (
        pytest.warns(RuntimeWarning, match="batches of 4"),
        pytest.raises(InputError, match="can be read only once"),
    ):
        list(salcli.predict(frames, model="hungry", batch_size=8))


@pytest.mark.parametrize(
    "bad",
    [5, "", b"x", [[1]], [torch.zeros(3, 4, 4)], [np.zeros((4, 4))], np.zeros((4, 4, 2), "u1")],
)
def test_what_is_no_frame_is_refused_at_once(bad: object) -> None:
    with pytest.raises((InputError, UsageError)):
        salcli.predict(bad, model="brightness")


def test_a_later_frame_that_is_none_is_an_error_of_input() -> None:
    with pytest.raises(InputError, match="a frame must be"):
        list(salcli.predict(iter([colours(), "text"]), model="brightness"))


def test_paths_lists_and_globs(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.fromarray(colours(ord(name))).save(tmp_path / f"{name}.png")
    for source in (
        str(tmp_path / "*.png"),
        [tmp_path / "a.png", str(tmp_path / "b.png"), tmp_path / "c.png"],
    ):
        results = list(salcli.predict(source, model="brightness"))
        assert [result.source.name for result in results if result.source] == [
            "a.png",
            "b.png",
            "c.png",
        ]
    with pytest.raises(InputError, match="does not exist"):
        salcli.predict(tmp_path / "d.png", model="brightness")


def test_options_and_weights_are_those_of_the_command(tmp_path: Path) -> None:
    rgb = colours()
    plain = saliency(rgb)
    for options in (["mode=inverted"], {"mode": "inverted"}):
        (result,) = salcli.predict(rgb, model="brightness", options=options)
        assert np.allclose(result.saliency, 1 - plain)
    with pytest.raises(UsageError, match="need the name of a model"):
        salcli.predict(rgb, model=salcli.load_model("brightness"), options=["mode=inverted"])
    with pytest.raises(salcli.WeightsError):
        salcli.predict(rgb, model="brightness", weights=tmp_path / "none.pth")


def test_progress_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    list(salcli.predict(colours(), model="brightness"))
    assert capsys.readouterr().err == ""
    list(salcli.predict(colours(), model="brightness", progress=True))
    assert capsys.readouterr().err == "frames: done\n"


def test_a_result_draws_and_saves_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = colours()
    (result,) = salcli.predict(rgb, model="brightness")

    assert np.array_equal(result.overlay(), salcli.overlay(rgb, result.saliency))
    assert np.array_equal(result.heatmap(), salcli.heatmap(result.saliency))
    with Image.open(io.BytesIO(result._repr_png_())) as shown:
        assert np.array_equal(np.asarray(shown), result.overlay())
    assert repr(result).startswith("<Result '0001': 20x12, peak ")
    saved = {
        name: result.save(tmp_path / name)
        for name in ("a.overlay.png", "a.heatmap.png", "a.png", "a.npy", "a.npz")
    }
    assert np.array_equal(np.asarray(Image.open(saved["a.overlay.png"])), result.overlay())
    assert np.array_equal(np.asarray(Image.open(saved["a.heatmap.png"])), result.heatmap())
    grey = np.asarray(Image.open(saved["a.png"]))
    assert np.abs(grey / 255 - result.saliency).max() <= 1 / 255
    assert np.array_equal(np.load(saved["a.npy"]), result.saliency)
    with np.load(saved["a.npz"]) as arrays:
        assert np.array_equal(arrays["saliency"], result.saliency)
    with pytest.raises(UsageError, match="must end with one of"):
        result.save(tmp_path / "a.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        result.save(tmp_path / "file" / "a.png")


def test_a_loaded_model_is_called_on_one_picture(tmp_path: Path) -> None:
    model = salcli.load_model("brightness")
    Image.fromarray(colours()).save(tmp_path / "a.png")
    Image.fromarray(colours(1)).save(tmp_path / "b.png")

    assert isinstance(model, salcli.Loaded)
    assert np.array_equal(model(tmp_path / "a.png").saliency, saliency(colours()))
    assert model(colours()).overlay().shape == (12, 20, 3)
    with pytest.raises(InputError, match="more than one picture"):
        model(tmp_path)


@pytest.mark.parametrize("name", ["predict", "ReadyModel"])
def test_examples_in_docstrings_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestFinder().find(getattr(api, name), name)
    examples = [test for test in found if test.examples]
    assert examples
    for test in examples:
        assert doctest.DocTestRunner().run(test).failed == 0
