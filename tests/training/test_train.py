"""The training loop, and `salcli train`, on a model of a few numbers and generated images."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from salcli import checkpoint
from salcli.datasets.folder import FolderOptions, open_folder
from salcli.errors import SalcliError, UnknownName, UsageError, WeightsError
from salcli.model import Model, create, load_model
from salcli.recipe import ParameterGroup, Recipe, Source
from salcli.training.optimisation import (
    freeze,
    make_average,
    make_optimiser,
    rate_factor,
    to_channels_last,
)
from salcli.training.runs import differences
from salcli.training.sampling import Corpus
from salcli.training.train import Running, train

Run = Callable[..., subprocess.CompletedProcess[str]]

PLUGIN = """
from salcli import ModelSpec, hookimpl

@hookimpl
def register_models():
    yield ModelSpec("tiny", "for tests", "salcli_tiny.model:Tiny")
"""

MODEL = """
import numpy as np
import torch
from PIL import Image
from torch import nn

from salcli import losses
from salcli.model import Model
from salcli.recipe import Augmentation, ParameterGroup, Recipe
from salcli.types import Loss, Prediction


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        y = self.head(self.dropout(self.norm(self.backbone(x)).relu()))
        return y.flatten(1).log_softmax(1).view_as(y)[:, 0]


class Tiny(Model):
    def build(self):
        return Net()

    def preprocess(self, frames):
        small = [Image.fromarray(frame).resize((24, 24)) for frame in frames]
        pixels = np.stack([np.asarray(picture) for picture in small])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5

    def predict(self, stimulus):
        for frame in stimulus.frames:
            saliency = self.network(self.inputs([frame]))[0].exp()
            yield Prediction(saliency / saliency.max())

    def losses(self, batch):
        log_density = self.network(batch.inputs[:, 0])
        density, fixations = batch.density[:, 0, 0], batch.fixations[:, 0, 0]
        yield Loss({
            "kld": losses.kld(log_density, density).mean(),
            "nss": losses.nss(log_density, fixations).mean(),
        })

    def recipes(self):
        groups = (ParameterGroup("backbone.", rate=0.5, frozen_epochs=1),)
        augmentation = Augmentation(flip=0.5, scale=0.9, aspects=((1.0, 1),), brightness=0.2)
        short = Recipe(epochs=4, batch_size=2, optimiser="adam", learning_rate=0.03, groups=groups,
            schedule="cosine", gradient_clip=5.0, losses={"kld": 1.0, "nss": -0.1}, ema=0.8,
            augmentation=augmentation, seed=7)
        return {"short": short, "never": Recipe(1, 2, "sgd", 0.1, select="CCC")}
"""


@pytest.fixture(scope="module")
def tiny_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site folder with a plugin that brings the model `tiny`, which can be trained."""
    site = tmp_path_factory.mktemp("tiny")
    (site / "salcli_tiny").mkdir()
    (site / "salcli_tiny" / "__init__.py").write_text(PLUGIN)
    (site / "salcli_tiny" / "model.py").write_text(MODEL)
    described = site / "salcli_tiny-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: salcli-tiny\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[salcli]\ntiny = salcli_tiny\n")
    return site


@pytest.fixture
def tiny(install_plugins: Callable[..., None], tiny_site: Path) -> None:
    """The trainable plugin, in this process."""
    install_plugins(tiny_site)


def make_data(root: Path, count: int, *, maps: bool = True, fixations: bool = True) -> Path:
    """Images of one bright spot each, at which people look."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    for folder in ("images", *["maps"] * maps, *["fixations"] * fixations):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        row, column = random.integers(20, 76, 2)
        spot = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 200)
        image = np.clip(30 + 200 * spot[..., None] + random.normal(0, 5, (96, 96, 3)), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{number}.png")
        if maps:
            Image.fromarray((255 * spot).astype(np.uint8)).save(root / "maps" / f"{number}.png")
        if fixations:
            fixated = (255 * (spot > 0.97)).astype(np.uint8)
            Image.fromarray(fixated).save(root / "fixations" / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data") / "spots", 12)


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def run(output: Path, data: Path, **changes: Any) -> tuple[Model, list[Mapping[str, Any]]]:
    """Train `tiny` in this process: the model afterwards, and the lines reported."""
    model = create("tiny", defaults={})
    recipe = dataclasses.replace(model.recipes()["short"], **changes)
    torch.manual_seed(recipe.seed)
    model.network = model.build()
    lines: list[Mapping[str, Any]] = []
    dataset = open_folder([data], FolderOptions("4"))
    best = train(
        model,
        [Corpus.of(dataset, Source("folder"), recipe)],
        recipe=recipe,
        output=output,
        metadata={"model": "tiny", "recipe": dataclasses.asdict(recipe)},
        running=Running(),
        report=lines.append,
    )
    assert best == output / "best.safetensors"
    return model, lines


def test_the_loss_falls_and_the_best_weights_are_kept(
    tiny: None, data: Path, tmp_path: Path
) -> None:
    _, lines = run(tmp_path, data, epochs=6)
    assert lines == log_of(tmp_path)
    losses = [line["losses"]["loss"] for line in lines if "losses" in line]
    assert losses[-1] < losses[0] - 0.1
    validations = [line for line in lines if "validation" in line]
    assert [line["epoch"] for line in validations] == list(range(6))
    assert set(validations[0]["validation"]) == {"spots", "folder", "all"}
    assert set(validations[0]["validation"]["all"]) == {"CC", "NSS", "AUC-Judd", "SIM", "KLD"}
    scores = [line["validation"]["all"]["CC"] for line in validations]
    saved = checkpoint.read(tmp_path / "best.safetensors")
    assert saved.metadata["epoch"] == int(np.argmax(scores))
    assert saved.metadata["validation"]["all"]["CC"] == max(scores)
    assert [line["best"] for line in validations] == [
        score == max(scores[: n + 1]) for n, score in enumerate(scores)
    ]
    loaded = load_model("tiny", weights_file=tmp_path / "best.safetensors", device="cpu")
    assert all(
        torch.equal(tensor, saved.state[key])
        for key, tensor in loaded.model.network.state_dict().items()
    )


def test_frozen_parameters_do_not_move(tiny: None, data: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    start = create("tiny", defaults={})
    torch.manual_seed(7)
    before = start.build().state_dict()
    still, _ = run(tmp_path / "one", data, epochs=1, ema=None)
    moved, _ = run(tmp_path / "two", data, epochs=2, ema=None)
    for key in ("backbone.weight", "backbone.bias"):
        assert torch.equal(still.network.state_dict()[key], before[key])
        assert not torch.equal(moved.network.state_dict()[key], before[key])
    assert not torch.equal(still.network.state_dict()["head.weight"], before["head.weight"])


def test_without_a_moving_average_the_network_itself_is_saved(
    tiny: None, data: Path, tmp_path: Path
) -> None:
    model, _ = run(tmp_path, data, epochs=1, ema=None)
    saved = load_file(tmp_path / "best.safetensors")
    for key, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, saved[key]), key


def plain_recipe(**changes: Any) -> Recipe:
    return dataclasses.replace(Recipe(4, 2, "sgd", 0.1), **changes)


def test_the_moving_average_forgets_its_start_and_follows() -> None:
    network = nn.BatchNorm1d(2)
    average = make_average(network, plain_recipe(ema=0.75))
    expected = 0.0
    for count in range(40):
        value = float(count % 7)
        nn.init.constant_(network.weight, value)
        network.running_mean = torch.full((2,), value)
        network.num_batches_tracked = torch.tensor(count)
        average.update_parameters(network)
        decay = 0.0 if count == 0 else min(0.75, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * value
        found = average.module.state_dict()
        assert found["weight"].tolist() == pytest.approx([expected] * 2, rel=1e-5)
        assert found["running_mean"].tolist() == pytest.approx([expected] * 2, rel=1e-5)
        assert found["num_batches_tracked"] == count


def test_parameters_are_grouped_by_the_first_prefix_that_fits() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
    groups = (
        ParameterGroup("0.", rate=0.1, weight_decay=0.2, frozen_epochs=2),
        ParameterGroup("1.bias", rate=0.0),
        ParameterGroup("1.", rate=3.0),
    )
    recipe = plain_recipe(groups=groups, weight_decay=0.5)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in make_optimiser(network, recipe).param_groups
        for parameter in group["params"]
    }
    names = {name: found[id(parameter)] for name, parameter in network.named_parameters()}
    assert names["0.weight"] == names["0.bias"] == (pytest.approx(0.01), 0.2)
    assert names["1.weight"] == (pytest.approx(0.3), 0.0)
    assert names["1.bias"] == (0.0, 0.0)
    assert names["2.weight"] == (0.1, 0.5)
    for epoch in range(3):
        freeze(network, recipe, epoch)
        assert network[0].weight.requires_grad == (epoch >= 2)
        assert network[2].weight.requires_grad


def test_learning_rates_follow_the_schedule() -> None:
    constant, steps = plain_recipe(warmup_steps=3), 10
    assert [rate_factor(s, steps, constant) for s in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    falling = plain_recipe(schedule="exponential", gamma=0.5)
    assert [rate_factor(s, steps, falling) for s in (0, 9, 10, 39)] == [1, 1, 0.5, 0.125]
    cosine = plain_recipe(schedule="cosine")
    assert [rate_factor(s, steps, cosine) for s in (0, 20, 40, 50)] == pytest.approx([1, 0.5, 0, 0])


def test_networks_with_three_dimensional_convolutions_can_be_laid_out() -> None:
    flat = nn.Conv2d(2, 3, 3)
    to_channels_last(nn.Sequential(nn.Conv3d(2, 3, 3), flat))
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)


def test_maps_or_fixations_alone_are_enough(tiny: None, tmp_path: Path) -> None:
    for name, kinds in (("maps", {"fixations": False}), ("fixations", {"maps": False})):
        root = make_data(tmp_path / name, 8, **kinds)
        _, lines = run(tmp_path / f"run-{name}", root, epochs=1)
        scores = lines[-1]["validation"]["all"]
        assert set(scores) >= {"CC", "SIM", "KLD"}
        assert ("NSS" in scores) == (name == "fixations")
    with pytest.raises(UsageError, match="fixations/"):
        run(tmp_path / "select", tmp_path / "maps", select="NSS")


def test_selection_knows_the_direction_of_the_metric(
    tiny: None, data: Path, tmp_path: Path
) -> None:
    _, lines = run(tmp_path, data, select="KLD")
    scores = [line["validation"]["all"]["KLD"] for line in lines if "validation" in line]
    assert checkpoint.read(tmp_path / "best.safetensors").metadata["epoch"] == np.argmin(scores)


def test_a_loss_that_is_no_number_ends_the_training(tiny: None, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SalcliError, match=r"the loss became nan in epoch .*smaller --lr"):
        run(tmp_path, data, learning_rate=1e30, gradient_clip=None)


def test_other_settings_are_refused_by_name(tiny: None, data: Path, tmp_path: Path) -> None:
    run(tmp_path, data, epochs=1)
    with pytest.raises(UsageError, match=r"other settings \(recipe\.epochs, recipe\.seed\)"):
        run(tmp_path, data, epochs=2, seed=8)
    kept = (tmp_path / "best.safetensors").read_bytes()
    (tmp_path / "last.pt").unlink()
    with pytest.raises(UsageError, match=r"best\.safetensors of another training"):
        run(tmp_path, data, epochs=1)
    assert (tmp_path / "best.safetensors").read_bytes() == kept
    assert differences({"a": {"b": 1}, "c": [1]}, {"a": {"b": 2}, "c": (1,)}) == ["a.b"]


def test_a_damaged_state_is_named(tiny: None, data: Path, tmp_path: Path) -> None:
    damaged: list[dict[str, Any]] = [{"epoch": 1}, {"metadata": "no JSON"}]
    for number, content in enumerate(damaged):
        folder = tmp_path / str(number)
        checkpoint.save_training(folder / "last.pt", content)
        with pytest.raises(WeightsError, match=r"last\.pt' is not a state of this training"):
            run(folder, data)


def test_impossible_recipes_are_refused_at_once(tiny: None, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="CCC"):
        run(tmp_path, data, select="CCC")
    with pytest.raises(UsageError, match="too few for one batch of 99"):
        run(tmp_path, data, batch_size=99)
    assert not list(tmp_path.iterdir())


def command(site: Path, *arguments: str | Path) -> tuple[list[str], dict[str, str]]:
    variables = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return [sys.executable, "-m", "salcli", "train", *map(str, arguments)], variables


def settings(data: Path, output: Path) -> list[str | Path]:
    given: list[str | Path] = ["--root", data, "--model", "tiny", "--hold-out", "4"]
    return [*given, "--device", "cpu", "--workers", "0", "-o", output]


def stop(
    site: Path, arguments: list[str | Path], log: Path, *, lines: int, how: int
) -> tuple[int, str]:
    """Start a training, signal it once its log has so many lines: exit code, what it said."""
    words, variables = command(site, *arguments)
    process = subprocess.Popen(words, env=variables, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not log.exists() or log.read_bytes().count(b"\n") < lines:
        if process.poll() is not None or time.monotonic() > deadline:
            break
        time.sleep(0.005)
    process.send_signal(how)
    _, complaint = process.communicate()
    return process.returncode, complaint.decode()


def weights_of(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    saved = checkpoint.read(folder / "best.safetensors")
    return dict(saved.state), dict(saved.metadata)


def without_seconds(folder: Path) -> list[dict[str, Any]]:
    timed = ("seconds", "left")
    return [{k: v for k, v in line.items() if k not in timed} for line in log_of(folder)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Arithmetic in one thread, as in the processes that the tests start: equal to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_interrupted_trainings_go_on_as_if_nothing_had_happened(
    tiny: None, one_thread: None, tiny_site: Path, salcli: Run, data: Path, tmp_path: Path
) -> None:
    long = [*settings(data, tmp_path / "cut"), "--epochs", "12"]
    killed = stop(tiny_site, long, tmp_path / "cut" / "log.jsonl", lines=5, how=signal.SIGKILL)
    assert killed[0] == -signal.SIGKILL, killed[1]
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "st')  # as a crash of the machine leaves it
    ended = stop(tiny_site, long, tmp_path / "cut" / "log.jsonl", lines=9, how=signal.SIGINT)
    assert ended[0] == 130, ended[1]
    assert "the same command goes on from here" in ended[1]
    outputs = []
    for folder in ("cut", "whole"):
        arguments = [*settings(data, tmp_path / folder), "--epochs", "12", "--json"]
        done = salcli("train", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append([json.loads(line) for line in done.stdout.splitlines()])
    assert weights_equal(*(weights_of(tmp_path / folder) for folder in ("cut", "whole")))
    assert without_seconds(tmp_path / "cut") == without_seconds(tmp_path / "whole")
    assert outputs[1][-1] == {"weights": str(tmp_path / "whole" / "best.safetensors")}
    assert len(outputs[1]) == 12 * 2 + 1
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        *("best.safetensors", "curves.png", "last.pt", "log.jsonl")
    ]


def weights_equal(
    one: tuple[dict[str, torch.Tensor], dict[str, Any]],
    other: tuple[dict[str, torch.Tensor], dict[str, Any]],
) -> bool:
    same = all(torch.equal(one[0][key], other[0][key]) for key in one[0].keys() | other[0].keys())
    return same and one[1] == other[1]


def test_the_command_reports_and_its_weights_predict(
    tiny: None, salcli: Run, data: Path, tmp_path: Path
) -> None:
    done = salcli("train", *settings(data, tmp_path / "run"), "--epochs", "2")
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("epoch 1/2  step 4/4  loss ")
    assert lines[0].endswith("0:00 left")
    assert "validation all" in done.stderr
    assert "(best so far)" in done.stderr
    best = tmp_path / "run" / "best.safetensors"
    assert lines[-1] == f"best weights: {best}"
    metadata = checkpoint.read(best).metadata
    assert metadata["data"] == {
        "layout": ["folder"],
        "edition": [""],
        "options": {"hold_out": "4", "given": []},
        "roots": ["spots"],
        "recordings": {"train": 9, "valid": 3},
    }
    assert metadata["recipe"]["epochs"] == 2
    assert metadata["versions"].keys() == {"salcli", "salcli-tiny"}
    image = data / "images" / "0.png"
    predicted = salcli("predict", image, "--model", "tiny", "--weights", best, "-o", tmp_path / "p")
    assert predicted.returncode == 0
    assert (tmp_path / "p" / "0.png").is_file()
    again = salcli("train", *settings(data, tmp_path / "run"), "--epochs", "2")
    assert again.stderr == f"best weights: {best}\n"
    further = salcli("train", *settings(data, tmp_path / "two"), "--epochs", "1", "--start", best)
    assert further.returncode == 0
    assert checkpoint.read(tmp_path / "two" / "best.safetensors").metadata["start"] == best.name


def test_mistakes_end_with_one_line(tiny: None, salcli: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    single = make_data(tmp_path / "single", 1)
    (tmp_path / "no-maps" / "images").mkdir(parents=True)
    (tmp_path / "no-maps" / "images" / "a.png").touch()
    spoilt = make_data(tmp_path / "spoilt", 8)
    for image in (spoilt / "images").iterdir():
        image.write_bytes(b"spoilt")
    (tmp_path / "file").touch()
    mistakes: list[tuple[list[str | Path], int, str]] = [
        (settings(tmp_path / "empty", tmp_path / "o"), 1, "has no folder 'images'"),
        (settings(tmp_path / "no-maps", tmp_path / "o"), 1, "neither a map"),
        (settings(spoilt, tmp_path / "o1"), 1, ".png' is not an image"),
        (settings(single, tmp_path / "o"), 1, "nothing of the split 'train'"),
        (settings(data, tmp_path / "file"), 1, "cannot write"),
        ([*settings(data, tmp_path / "o"), "--recipe", "shor"], 2, "did you mean short"),
        ([*settings(data, tmp_path / "o"), "--recipe", "never"], 2, "no metric named 'CCC'"),
        ([*settings(data, tmp_path / "o"), "--start", tmp_path / "gone"], 3, "does not exist"),
        ([*settings(data, tmp_path / "o"), "--data", "folders"], 2, "did you mean folder"),
        ([*settings(data, tmp_path / "o"), "--model", "brightness"], 2, "cannot be trained"),
        ([*settings(data, tmp_path / "o"), "--hold-out", "1"], 2, "hold-out 1"),
    ]
    for arguments, code, message in mistakes:
        done = salcli("train", *arguments)
        assert done.stderr.count("\n") == 1, done.stderr
        assert message in done.stderr
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert not (tmp_path / "o").exists()


def test_help_states_the_layout(salcli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = salcli("train", "--help")
    for text in ("images/NAME.jpg", "maps/NAME.png", "fixations/NAME.mat", "best.safetensors"):
        assert text in done.stdout


def test_unisal_trains_from_weights_with_their_options(tmp_path: Path, salcli: Run) -> None:
    data = make_data(tmp_path / "data", 3)
    arguments = ["train", "--root", data, "--hold-out", "3", "--batch-size", "2"]
    arguments += ["--epochs", "1", "--workers", "0", "--device", "cpu"]
    first = tmp_path / "first"
    done = salcli(*arguments, "-O", "sources=SALICON", "-O", "padding=same", "-o", first)
    assert done.returncode == 0, done.stderr
    best = first / "best.safetensors"
    loaded = load_model("unisal", weights_file=best, device="cpu")
    assert loaded.model.options.sources == ("SALICON",)
    assert loaded.model.options.padding == "same"
    done = salcli(*arguments, "--start", best, "-o", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    both = salcli(*arguments, "--model", "unisal:open", "--start", best, "-o", tmp_path / "third")
    assert both.returncode == 2
    assert "drop one" in both.stderr
