"""A model reads the files of its own format, wherever weights are taken."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from salcli.api import predict
from salcli.errors import UsageError, WeightsError
from salcli.files import checkpoint
from salcli.models.loading import load_model
from salcli.models.undrawn import Undrawn, is_filled

WHITE = np.full((8, 8, 3), 255, np.uint8)


@pytest.fixture
def format_plugin(install_plugins: Callable[..., None], make_site: Callable[..., Path]) -> None:
    install_plugins(make_site("salcli_format"))


@pytest.mark.usefixtures("format_plugin")
def test_a_file_of_the_model_s_own_format_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("gain=0.25\n")
    loaded = load_model("format", weights_file=str(tmp_path / "own.txt"), device="cpu")
    (result,) = predict(WHITE, model=loaded)
    assert np.all(result.saliency == 0.25)


@pytest.mark.usefixtures("format_plugin")
def test_a_weight_that_the_file_lacks_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("gain=0.25\n")
    once, again = (
        load_model("keeping", weights_file=tmp_path / "own.txt", device="cpu").model.network
        for _ in range(2)
    )
    assert 0 < once.shift.item() < 1
    assert once.shift.item() == again.shift.item()
    assert once.gain.item() == 0.25


@pytest.mark.parametrize("build", [lambda: nn.Conv2d(3, 2, 3), lambda: nn.LSTM(2, 2)])
def test_no_time_is_spent_on_drawing_weights_that_come_from_a_file(build: Any) -> None:
    state = torch.get_rng_state()
    with Undrawn():
        network = build()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.isnan().all() for weight in network.parameters())
    assert not is_filled(network)
    network.load_state_dict(build().state_dict())
    assert is_filled(network)


class Noted(nn.Linear):
    """Has something beside tensors in its state."""

    def get_extra_state(self) -> dict[str, str]:
        return {"note": "of 2020"}


def test_a_network_may_have_more_than_tensors_in_its_state() -> None:
    assert is_filled(Noted(2, 2))


@pytest.mark.usefixtures("format_plugin")
def test_the_store_s_file_is_read_by_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, salcli: Callable[..., object]
) -> None:
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "mine.txt").write_text("gain=0.5\n")
    salcli("weights", "import", tmp_path / "mine.txt", "--model", "format")
    loaded = load_model("format", device="cpu", offline=True)
    assert loaded.model.offline
    assert loaded.label == "format:lines"
    assert loaded.model.network.gain.item() == 0.5
    assert loaded.path
    before = loaded.path.stat()
    loaded.path.write_text("gain=0.6\n")  # as long, and it gets the same times
    os.utime(loaded.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(WeightsError, match="has the hash"):
        load_model("format", device="cpu", offline=True)


@pytest.mark.usefixtures("format_plugin")
def test_training_starts_from_the_model_s_own_format(
    tmp_path: Path, salcli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    random = np.random.default_rng(0)
    for folder in ("images", "maps"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / folder / f"{number}.png")
    (tmp_path / "own.txt").write_text("gain=0.75\n")
    command = ("train", "--model", "format", "--root", "data", "--hold-out", "2")
    ran = salcli(*command, "--start", "own.txt", "--workers", "0", "-o", "run")
    assert ran.returncode == 0, ran.stderr
    trained = checkpoint.read(tmp_path / "run" / "best.safetensors").state["gain"].item()
    assert trained == pytest.approx(0.75, abs=1e-3)
    assert trained != 0.75


@pytest.mark.parametrize(
    "wish",
    [{"device": "cuda:99"}, {"precision": "int8"}, {"batch_size": 0}, {"options": {"gian": 1}}],
    ids=str,
)
def test_a_wrong_request_is_told_before_weights_are_fetched(
    wish: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path))
    with pytest.raises(UsageError):
        load_model("unisal:best", offline=True, **wish)


@pytest.mark.usefixtures("format_plugin")
def test_what_the_model_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("nonsense\n")
    with pytest.raises(WeightsError, match=r"own\.txt"):
        load_model("format", weights_file=tmp_path / "own.txt", device="cpu")


def test_a_network_without_weights_is_refused_unless_it_is_asked_for(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_little"))
    with pytest.raises(WeightsError, match="model 'tiny' has a network but no weights"):
        load_model("tiny", device="cpu")

    first, second = (load_model("tiny", device="cpu", untrained=True) for _ in range(2))

    assert first.label == "tiny, untrained"
    for one, other in zip(*(m.model.network.parameters() for m in (first, second)), strict=True):
        assert one.equal(other)
    (result,) = predict(WHITE, model=first)
    assert result.saliency.shape == (8, 8)
