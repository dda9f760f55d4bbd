"""What the loop does between two batches: add up, clip, schedule, choose, give up."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from salcli import checkpoint
from salcli.errors import PluginError, UsageError
from salcli.model import Model, create
from salcli.recipe import ParameterGroup, Recipe, Source
from salcli.training.curves import draw, points
from salcli.training.optimisation import fill_gradients, make_optimiser, make_schedule
from salcli.training.rehearsal import rehearse
from salcli.training.sampling import Corpus
from salcli.training.train import Running, train
from salcli.types import Recording

PLAIN = Recipe(2, 2, "sgd", 0.5, clip_length=3, clip_stride=2, seed=5)

Fit = Callable[..., tuple[dict[str, torch.Tensor], list[Mapping[str, Any]]]]


class Lists:
    """A dataset of given recordings."""

    name, edition, splits, evaluated, kernel = "lists", "", ("train", "valid"), "valid", "default"
    submission, problems = None, ()

    def __init__(self, training: Sequence[Recording], kept: Sequence[Recording]) -> None:
        self.parts = {"train": training, "valid": kept}

    def recordings(self, split: str, /) -> Sequence[Recording]:
        return self.parts[split]


def corpora(clips: Sequence[Recording], recipe: Recipe) -> list[Corpus]:
    return [Corpus.of(Lists(clips[:4], clips[4:]), Source("lists"), recipe)]


def shortened(clip: Recording, count: int | None) -> Recording:
    return replace(clip, annotations=clip.annotations[:count], frames=(clip.frames or [])[:count])


@pytest.fixture
def fit(little: None, clips: list[Recording], tmp_path: Path) -> Fit:
    """Train `little`: its weights afterwards, and the lines of the log."""
    counter = iter(range(100))

    def run(
        recipe: Recipe = PLAIN,
        *,
        running: Running | None = None,
        trim: int | None = None,
        **changes: Any,
    ) -> tuple[dict[str, torch.Tensor], list[Mapping[str, Any]]]:
        recipe, lines = replace(recipe, **changes), list[Mapping[str, Any]]()
        torch.manual_seed(0)
        model = create("little", defaults={})
        train(
            model,
            corpora([shortened(clip, trim) for clip in clips], recipe),
            recipe=recipe,
            output=tmp_path / str(next(counter)),
            metadata={},
            running=running or Running(),
            report=lines.append,
        )
        return {name: t.clone() for name, t in model.network.state_dict().items()}, lines

    return run


def losses(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    return [line["losses"]["loss"] for line in lines if "losses" in line]


def close(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.allclose(one[key], other[key], atol=1e-6) for key in one)


def test_clips_are_learned(fit: Fit) -> None:
    _, lines = fit(epochs=6)
    assert losses(lines)[-1] < losses(lines)[0] - 0.05
    assert set(lines[-1]["validation"]["all"]) >= {"CC", "NSS"}


def test_two_halves_added_up_are_one_batch(fit: Fit) -> None:
    same = replace(PLAIN, clip_length=9, clip_stride=1)  # all that the shortest clip has
    whole, _ = fit(same, batch_size=4, trim=9)
    mean, _ = fit(same, accumulation=2, trim=9)
    total, _ = fit(same, accumulation=2, accumulate="sum", learning_rate=0.25, trim=9)
    assert close(whole, mean)
    assert close(mean, total)
    assert not close(mean, fit(same, trim=9)[0])


def test_gradients_are_clipped_for_each_frame_of_a_loss(fit: Fit, little: None) -> None:
    start = create("little", defaults={})

    def moved(clip: float) -> float:
        torch.manual_seed(0)
        before = create("little", defaults={}).network.state_dict()
        after, _ = fit(epochs=1, batch_size=4, gradient_clip=clip, learning_rate=1.0)
        return float(torch.cat([(after[key] - before[key]).flatten() for key in before]).norm())

    assert start is not None
    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved(0.02) == pytest.approx(0.02, rel=1e-3)


def test_rates_fall_at_milestones_for_the_groups_that_follow() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    groups = (ParameterGroup("0.", rate=0.1, scheduled=False), ParameterGroup("", suffix=".bias"))
    recipe = replace(
        PLAIN, epochs=4, schedule="milestones", gamma=0.1, milestones=(1, 3), groups=groups
    )
    optimiser = make_optimiser(network, recipe)
    schedule = make_schedule(optimiser, network, recipe, steps=2)
    rates = []
    for _ in range(8):
        rates.append([round(group["lr"], 6) for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    assert [len(group["params"]) for group in optimiser.param_groups] == [2, 1, 1]
    assert [rate[0] for rate in rates] == [0.05] * 8
    assert [rate[1] for rate in rates] == [0.5] * 2 + [0.05] * 4 + [0.005] * 2
    assert [rate[2] for rate in rates] == [rate[1] for rate in rates]


def test_a_plugin_can_bring_its_optimiser(fit: Fit) -> None:
    named, _ = fit(optimiser="torch.optim:RMSprop", learning_rate=0.01)
    assert not close(named, fit(learning_rate=0.01)[0])
    with pytest.raises(PluginError, match="cannot import"):
        fit(optimiser="torch.optim:Gone")


def test_untouched_parameters_move_only_as_before_pytorch_1_7(fit: Fit) -> None:
    def moves(zero_gradients: bool) -> bool:
        used, idle = nn.Linear(1, 1), nn.Linear(1, 1)
        network, before = nn.Sequential(used, idle), idle.weight.clone()
        recipe = replace(PLAIN, weight_decay=0.1, zero_gradients=zero_gradients)
        optimiser = make_optimiser(network, recipe)
        torch.autograd.backward(used(torch.ones(1, 1)).sum())
        if zero_gradients:
            fill_gradients(network)
        optimiser.step()
        return not torch.equal(before, idle.weight)

    assert moves(zero_gradients=True)
    assert not moves(zero_gradients=False)
    fit(epochs=1, zero_gradients=True)


def test_the_best_epoch_can_be_chosen_by_the_loss(fit: Fit, tmp_path: Path) -> None:
    _, lines = fit(epochs=3, select="loss", learning_rate=0.2)
    found = [line["validation"]["all"]["loss"] for line in lines if "validation" in line]
    saved = checkpoint.read(tmp_path / "0" / "best.safetensors")
    assert saved.metadata["validation"]["all"]["loss"] == min(found)
    assert set(lines[-1]["validation"]["all"]) == {"loss", "kld"}


def test_early_epochs_may_not_count_and_late_ones_may_not_come(fit: Fit, tmp_path: Path) -> None:
    _, lines = fit(epochs=3, select="loss", learning_rate=0.0, select_from=1)
    assert [line["best"] for line in lines if "best" in line] == [False, True, False]
    _, lines = fit(epochs=9, select="loss", learning_rate=0.0, patience=2)
    assert [line["best"] for line in lines if "best" in line] == [True, False, False]
    fit(epochs=1, select="loss", select_from=5)
    assert (tmp_path / "2" / "best.safetensors").exists()


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_mixed_precision_learns_and_keeps_float32_weights(fit: Fit, precision: torch.dtype) -> None:
    weights, lines = fit(epochs=4, running=Running(precision=precision))
    assert losses(lines)[-1] < losses(lines)[0]
    assert all(tensor.dtype == torch.float32 for tensor in weights.values())
    assert not all(map(torch.equal, weights.values(), fit(epochs=4)[0].values()))


def test_only_some_frames_of_a_clip_are_scored(fit: Fit) -> None:
    whole = fit(epochs=1)[1][-1]["validation"]["all"]["CC"]
    few = fit(epochs=1, validation_frames=2)[1][-1]["validation"]["all"]["CC"]
    assert whole != few


def test_workers_make_no_difference(fit: Fit) -> None:
    alone, _ = fit()
    shared, _ = fit(running=Running(workers=2, memory=10_000))
    assert all(map(torch.equal, alone.values(), shared.values()))


def test_whole_clips_need_batches_of_one(fit: Fit) -> None:
    with pytest.raises(UsageError, match="--batch-size 1"):
        fit(clip_length=0)
    with pytest.raises(UsageError, match=r"4 are too short or not annotated\): too few"):
        fit(clip_length=40)


def test_a_rehearsal_measures_everything_and_keeps_nothing(
    little: None, clips: list[Recording], tmp_path: Path
) -> None:
    model: Model = create("little", defaults={})
    found = rehearse(model, corpora(clips, PLAIN), PLAIN, Running())
    assert found["steps"] == 2 * 2
    assert found["memory"] > 10_000_000
    seconds = found["seconds"]
    assert 0 < seconds["step"] < seconds["training"]
    assert not list(tmp_path.iterdir())


def test_curves_are_drawn_from_the_log(tmp_path: Path) -> None:
    place = {"epoch": 1, "epochs": 2, "step": 5, "steps": 10, "rate": 0.1, "losses": {"kld": 2.0}}
    place["sources"] = {"salicon": {"kld": 2.0}}
    scored = {"epoch": 1, "epochs": 2, "validation": {"all": {"CC": 0.5}}, "best": True}
    assert [*points(place), *points(scored)] == [
        ("rate", 1.5, 0.1),
        ("training/kld", 1.5, 2.0),
        ("sources/salicon/kld", 1.5, 2.0),
        ("validation/all/CC", 2, 0.5),
    ]
    (tmp_path / "log.jsonl").write_text(json.dumps(place) + "\n" + json.dumps(scored) + "\n")
    draw(tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_losses_are_told_for_each_source_too(
    little: None, clips: list[Recording], tmp_path: Path
) -> None:
    model, lines = create("little", defaults={}), list[Mapping[str, Any]]()
    parts = {"one": clips[:2], "two": clips[2:4]}
    train(
        model,
        [Corpus.of(Lists(part, clips[4:]), Source(n), PLAIN) for n, part in parts.items()],
        recipe=PLAIN,
        output=tmp_path / "run",
        metadata={},
        running=Running(),
        report=lines.append,
    )
    told = [(line["losses"], line["sources"]) for line in lines if "losses" in line]
    assert [set(sources) for _, sources in told] == [{"one", "two"}] * 2
    for losses_, sources in told:
        for name, mean in losses_.items():
            assert mean == pytest.approx((sources["one"][name] + sources["two"][name]) / 2)
    assert told[0][1]["one"] != told[0][1]["two"]
