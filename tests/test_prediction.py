"""The prediction loop, and the one-line Python API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import salcli
from salcli.errors import InputError, PluginError, SalcliError, UsageError
from salcli.models.loading import create
from salcli.models.model import Model
from salcli.prediction import loop
from salcli.types import Frame, Result, Stimulus

pytestmark = pytest.mark.usefixtures("fakes")


def grey(level: int, height: int = 4, width: int = 6) -> Frame:
    return np.full((height, width, 3), level, np.uint8)


def model_of(name: str, *, batch_size: int = 4) -> Model:
    model = create(name, defaults={})
    model.to(torch.device("cpu"), torch.float32)
    model.batch_size = batch_size
    return model


def run(model: Model, frames: list[Frame], **wishes: object) -> list[Result]:
    stimulus = Stimulus("s", frames, fps=10.0 if wishes.pop("clip", False) else None)
    notice = wishes.pop("notice", print)
    return list(loop.run(model, stimulus, notice=notice, **wishes))  # type: ignore[arg-type]


def test_results_carry_what_belongs_to_their_frame() -> None:
    frames = [grey(10 * n) for n in range(6)]

    results = run(model_of("brightness"), frames, clip=True, keep_frames=True)

    assert [r.index for r in results] == list(range(6))
    assert [r.label for r in results] == ["0001", "0002", "0003", "0004", "0005", "0006"]
    assert [r.time for r in results] == [n / 10 for n in range(6)]
    assert all(r.frame is frame for r, frame in zip(results, frames, strict=True))
    levels = [r.saliency.mean() for r in results]
    assert levels == pytest.approx([10 * n / 255 for n in range(6)], abs=1e-6)
    varying = Stimulus("s", frames[:3], fps=10.0, times=[0.5, 0.6, 1.2])
    assert [r.time for r in loop.run(model_of("trail"), varying, notice=print)] == [0.5, 0.6, 1.2]


def test_stills_of_many_sizes_keep_their_sizes() -> None:
    shapes = [(4, 6), (4, 6), (9, 5), (4, 6), (1, 1)]

    results = run(model_of("brightness"), [grey(9, *shape) for shape in shapes])

    assert [r.saliency.shape for r in results] == shapes
    assert [r.extras["red"].shape for r in results] == shapes
    assert all(r.frame is None for r in results)


def test_extras_can_be_left_out() -> None:
    (result,) = run(model_of("brightness"), [grey(1)], extras=False)

    assert result.extras == {}


def test_look_ahead_moves_no_map() -> None:
    frames = [grey(n) for n in (0, 255, 0, 0, 0, 0, 0)]

    results = run(model_of("trail"), frames, clip=True, keep_frames=True)

    assert len(results) == 7
    assert all(r.frame is frame for r, frame in zip(results, frames, strict=True))
    assert [bool(r.saliency.max() > 0.01) for r in results] == [True] * 4 + [False] * 3


def test_no_mode_leaks_to_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    inside = []

    class Watched(type(model_of("brightness"))):  # type: ignore[misc]
        def preprocess(self, frames: list[Frame]) -> torch.Tensor:
            inside.append((torch.is_inference_mode_enabled(), torch.backends.cudnn.allow_tf32))
            return super().preprocess(frames)  # type: ignore[no-any-return]

    model = model_of("brightness", batch_size=1)
    model.__class__ = Watched
    stimulus = Stimulus("s", [grey(1), grey(2)])
    for _ in loop.run(model, stimulus, notice=print):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert torch.backends.cudnn.allow_tf32
    assert inside == [(True, False)] * 2


def test_dropping_the_results_stops_the_decoding() -> None:
    closed = []

    class Frames:
        def __iter__(self) -> Iterator[Frame]:
            try:
                while True:
                    yield grey(1)
            finally:
                closed.append(True)

    results = loop.run(model_of("brightness"), Stimulus("s", Frames()), notice=print)
    next(results)
    results.close()

    assert closed


def test_a_batch_that_does_not_fit_is_halved_and_no_map_is_given_twice() -> None:
    class Later(type(model_of("hungry"))):  # type: ignore[misc]  # memory gets short after a while
        fits = 3

        def preprocess(self, frames: list[Frame]) -> torch.Tensor:
            self.most = 8 if self.fits > 0 else 2
            self.fits -= 1
            return super().preprocess(frames)  # type: ignore[no-any-return]

    frames = [grey(n) for n in range(40)]
    model = Later(model_of("hungry").spec)
    model.network = model.build()
    model.batch_size = 8
    notices: list[str] = []

    results = run(model, frames, notice=notices.append)

    assert [round(float(r.saliency.mean()) * 255) for r in results] == list(range(40))
    assert [r.index for r in results] == list(range(40))
    assert [text.split()[-1] for text in notices] == ["4", "2"]
    assert model.batch_size == 2


def test_no_room_for_one_frame_says_what_to_do() -> None:
    with pytest.raises(SalcliError, match=r"no room for 1 frames\); use the CPU"):
        run(model_of("starving"), [grey(1)])


def test_an_error_of_the_frames_is_not_blamed_on_the_model() -> None:
    def frames() -> Iterator[Frame]:
        yield grey(1)
        raise InputError("broken after 1 frame")

    with pytest.raises(InputError, match="broken after 1 frame"):
        list(loop.run(model_of("brightness"), Stimulus("s", frames()), notice=print))


def test_a_failing_model_is_named() -> None:
    with pytest.raises(PluginError, match="model 'failing' failed: KeyError: 'third frame'"):
        run(model_of("failing"), [grey(1)] * 5)


def test_a_model_gets_only_what_it_takes() -> None:
    with pytest.raises(InputError, match="model 'trail' takes clips only"):
        run(model_of("trail"), [grey(1)])


@pytest.mark.parametrize("scale", ["max", "density"])
def test_scales(scale: str) -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    frame[2:4, 2:4] = 50
    (result,) = run(model_of("brightness"), [frame], scale=scale, size=(16, 16))

    assert result.saliency.shape == (16, 16)
    total = result.saliency.max() if scale == "max" else result.saliency.sum()
    assert total == pytest.approx(1, abs=1e-5)


def test_the_python_api_takes_paths_arrays_and_lists(clip_file: Path) -> None:
    assert len(list(salcli.predict(clip_file, model="brightness"))) == 12
    assert len(list(salcli.predict(str(clip_file), model=salcli.load_model("brightness")))) == 12
    (one,) = salcli.predict(grey(51), model="brightness")
    assert one.saliency.mean() == pytest.approx(0.2)
    assert one.time is None
    stack = np.stack([grey(1), grey(2)])
    assert [r.time for r in salcli.predict(stack, model="trail", fps=2)] == [0.0, 0.5]
    assert len(list(salcli.predict([grey(1), grey(2, 8, 8)], model=model_of("brightness")))) == 2


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [np.zeros((2, 2, 3))],
        [[1]],
        b"bytes",
        torch.zeros(1, 3, 2, 2),
    ],
)
def test_the_python_api_refuses_what_is_no_frame(bad: list[Frame]) -> None:
    with pytest.raises(InputError):
        salcli.predict(bad, model="brightness")


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "film"},
        {"scale": "sum"},
        {"fps": 0},
        {"size": "large"},
        {"size": (0, 5)},
        {"size": (2.5, 5)},
        {"size": (5,)},
    ],
    ids=str,
)
def test_the_python_api_refuses_wishes_that_it_does_not_know(wish: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        salcli.predict(grey(1), model="brightness", **wish)


def test_a_clip_in_memory_has_one_size() -> None:
    with pytest.raises(InputError, match="must have one size"):
        salcli.predict([grey(1), grey(1, 8, 8)], model="brightness", fps=5)


def test_the_python_api_warns_of_stills_that_it_leaves_out(tmp_path: Path) -> None:
    Image.fromarray(grey(1)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")

    with pytest.warns(RuntimeWarning, match=r"left out: .*bad\.png' is not an image") as told:
        assert [r.label for r in salcli.predict(tmp_path, model="brightness")] == ["good"]

    assert told[0].filename == __file__
