"""Other engines: their maps are those of PyTorch, or they are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch

from salcli.engines.networks import kept_in
from salcli.files import checkpoint

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, with weights: the network is exported once, by whichever comes first."""
    folder = tmp_path_factory.mktemp("cache")
    kernel = torch.linspace(-1, 1, 27).view(1, 3, 3, 3)
    state = {"conv.weight": kernel, "conv.bias": torch.zeros(1)}
    checkpoint.save(folder / "weights.safetensors", state, metadata={})
    return folder


@pytest.fixture
def predict(
    salcli: Run,
    make_site: Callable[..., Path],
    install_plugins: Callable[..., None],
    cache: Path,
    clip_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """`salcli predict` of a clip by a model with weights, and another engine."""
    install_plugins(make_site("salcli_engine"))

    def run(engine: str, *more: str) -> CompletedProcess[str]:
        monkeypatch.setenv("SALCLI_CACHE_DIR", str(cache))
        chosen = (
            "--model",
            "exported",
            "--weights",
            cache / "weights.safetensors",
            "--engine",
            engine,
        )
        return salcli("predict", clip_file, *chosen, "--save", "npy", *more)

    return run


def maps(folder: Path) -> np.ndarray:
    files = sorted((folder / "clip").glob("*.npy"))
    assert len(files) == 12
    return np.stack([np.load(file) for file in files])


def record(folder: Path) -> dict:
    return json.loads((folder / "clip" / "salcli.json").read_text())


def test_maps_are_those_of_pytorch_and_the_record_names_the_engine(
    predict: Run, tmp_path: Path
) -> None:
    for engine in ("torch", "onnxruntime"):
        run = predict(engine, "--output", engine)
        assert run.returncode == 0, run.stderr
        assert record(tmp_path / engine)["settings"]["engine"] == engine
    one, other = maps(tmp_path / "torch"), maps(tmp_path / "onnxruntime")
    assert 0 < np.abs(one - other).max() < 1e-5
    assert "onnxruntime" in record(tmp_path / "onnxruntime")["versions"]


def test_another_engine_means_a_new_run(predict: Run, tmp_path: Path) -> None:
    assert "already done" not in predict("onnxruntime").stderr
    assert "already done" in predict("onnxruntime").stderr
    again = predict("torch").stderr
    assert "was predicted with other settings" in again
    assert record(tmp_path / "saliency")["settings"]["engine"] == "torch"


def test_an_engine_that_is_wrong_by_a_thousandth_is_refused(predict: Run, tmp_path: Path) -> None:
    run = predict("wrong")
    assert run.returncode == 4
    assert "engine 'wrong'" in run.stderr
    assert "differ from those of PyTorch by 0.001, and this model allows 0.0001" in run.stderr
    assert not list(tmp_path.glob("saliency/clip/*.npy"))
    assert predict("wrong").returncode == 4  # nothing remembers it as checked


def test_the_fastest_is_one_that_passed(predict: Run, tmp_path: Path) -> None:
    run = predict("auto")
    assert run.returncode == 0, run.stderr
    assert "engine 'wrong'" in run.stderr
    assert "engine 'failing' failed: OSError: no licence for this processor" in run.stderr
    chosen = record(tmp_path / "saliency")["settings"]["engine"]
    assert chosen in ("torch", "onnxruntime", "openvino")
    assert f"engine {chosen} is the fastest here" in run.stderr
    again = predict("auto")
    assert "already done" in again.stderr
    assert "fastest" not in again.stderr  # it was measured before


def test_a_damaged_export_is_made_again(predict: Run, cache: Path, tmp_path: Path) -> None:
    assert predict("onnxruntime", "--output", "one").returncode == 0
    (file,) = cache.glob("engines/*/*.onnx")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    run = predict("onnxruntime", "--output", "other")
    assert run.returncode == 0, run.stderr
    assert np.array_equal(maps(tmp_path / "one"), maps(tmp_path / "other"))
    assert file.parent == kept_in(record(tmp_path / "one")["settings"]["weights_sha256"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("exported", "absent"), "engine 'absent' is not installed; pip install it brings it"),
        (("exported", "onyx"), "no engine named 'onyx'"),
        (("centre", "onnxruntime"), "model 'centre' runs in PyTorch only: leave out the engine"),
    ],
)
def test_what_cannot_run_says_so_in_one_line(
    predict: Run, salcli: Run, clip_file: Path, arguments: tuple[str, str], complaint: str
) -> None:
    model, engine = arguments
    untrained = ("--untrained",) if model == "exported" else ()
    run = salcli("predict", clip_file, "--model", model, "--engine", engine, *untrained)
    assert run.returncode == 2
    (line,) = [line for line in run.stderr.splitlines() if "error" in line]
    assert complaint in line
