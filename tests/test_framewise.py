"""The helpers with which plugins predict, and the models of the guide that are made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from salcli import Frame, ModelSpec, Prediction, Stimulus
from salcli.authoring import Model, framewise, input_chunks, one_by_one, pixels
from salcli.testing import check_model

GUIDE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text("utf-8")


class Mean(Model):
    """The mean of a frame's levels, in [0, 1], as a map of 2 x 3."""

    def build(self) -> torch.nn.Module:
        return torch.nn.Identity()

    def preprocess(self, frames: Any) -> torch.Tensor:
        return pixels(frames) / 255

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        return framewise(self, stimulus, self.level)

    def level(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.mean((1, 2, 3))[:, None, None, None].expand(-1, 1, 2, 3)

    def counted(self, frames: torch.Tensor, state: int | None) -> tuple[torch.Tensor, int]:
        number = (state or 0) + 1
        return torch.full((1, 2, 3), number / 8), number


@pytest.fixture
def model() -> Mean:
    made = Mean(ModelSpec("mean", "levels", "nowhere:Mean"))
    made.batch_size = 2
    return made


def grey(level: int, size: tuple[int, int] = (4, 6)) -> Frame:
    return np.full((*size, 3), level, np.uint8)


def clip(*frames: Frame, fps: float | None = 25.0) -> Stimulus:
    return Stimulus("clip", frames, fps=fps, size=frames[0].shape[:2], count=len(frames))


def test_chunks_are_of_one_size_and_in_order(model: Mean) -> None:
    frames = [grey(51), grey(102), grey(153), grey(204, (2, 2))]
    chunks = list(input_chunks(model, frames))
    assert [(x.shape, size) for x, size in chunks] == [
        ((2, 3, 4, 6), (4, 6)),
        ((1, 3, 4, 6), (4, 6)),
        ((1, 3, 2, 2), (2, 2)),
    ]
    levels = torch.cat([x.flatten(1)[:, 0] for x, _ in chunks])
    torch.testing.assert_close(levels, torch.tensor([0.2, 0.4, 0.6, 0.8]))
    assert [len(x) for x, _ in input_chunks(model, frames, 3)] == [3, 1]


def test_each_frame_has_its_map(model: Mean) -> None:
    found = list(model.predict(clip(grey(51), grey(255), grey(0))))
    assert {prediction.saliency.shape for prediction in found} == {(2, 3)}
    levels = [prediction.saliency[0, 0].item() for prediction in found]
    assert levels == pytest.approx([0.2, 1, 0])


def test_a_state_goes_from_frame_to_frame_of_a_clip_alone(model: Mean) -> None:
    frames = [grey(0)] * 3

    def numbers(fps: float | None) -> list[float]:
        found = one_by_one(model, clip(*frames, fps=fps), model.counted)
        return [8 * prediction.saliency[0, 0].item() for prediction in found]

    assert numbers(25.0) == [1, 2, 3]
    assert numbers(None) == [1, 1, 1]


DESCRIPTION = """
from salcli import ModelSpec, hookimpl

@hookimpl
def register_models():
    yield ModelSpec("image", "frame by frame", "salcli_guide.image:Picture", licence="MIT")
    yield ModelSpec("recurrent", "with a state", "salcli_guide.recurrent:Recurrent", licence="MIT")
"""


@pytest.fixture
def guide(tmp_path: Path, install_plugins: Callable[..., None]) -> Path:
    """The models of the guide as a plugin that is installed."""
    package, information = tmp_path / "salcli_guide", tmp_path / "salcli_guide-1.dist-info"
    package.mkdir()
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: salcli-guide\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[salcli]\nguide = salcli_guide\n")
    (package / "__init__.py").write_text(DESCRIPTION)
    for mark in ("image", "recurrent"):
        found = re.findall(rf"^```python {mark}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
        (package / f"{mark}.py").write_text(*found)
    install_plugins(tmp_path)
    return package


@pytest.mark.parametrize(("name", "lines"), [("image", 25), ("recurrent", 40)])
def test_models_of_the_guide_keep_the_contract(name: str, lines: int, guide: Path) -> None:
    assert len((guide / f"{name}.py").read_text().splitlines()) <= lines
    check_model(name)
