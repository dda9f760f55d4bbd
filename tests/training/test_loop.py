"""What the loop does between two batches: add up, clip, freeze, average, in any precision."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from salcli.errors import SalcliError, UsageError
from salcli.models.loading import create, load_model
from salcli.recipe import Recipe, Source
from salcli.training.distributed import Ranks
from salcli.training.dryrun import measure
from salcli.training.plan import Corpus
from salcli.training.train import Running
from salcli.types import Recording

from .conftest import Fit, Lists, log_of, progress

PRECISIONS = (torch.bfloat16, torch.float16)


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(one[key], other[key], atol=1e-6) for key in one)


def test_clips_are_learned_in_any_precision(fit: Fit) -> None:
    plain = fit(epochs=3)
    assert plain.losses[-1] < plain.losses[0] - 0.02
    assert set(plain.validations[-1]["validation"]["all"]) >= {"CC", "NSS"}
    for precision in PRECISIONS:
        mixed = fit(epochs=3, running=Running(precision=precision))
        assert mixed.losses[-1] < mixed.losses[0]
        assert all(tensor.dtype == torch.float32 for tensor in mixed.network.values())
        assert not all(map(torch.equal, mixed.network.values(), plain.network.values()))


def test_stills_are_learned_and_the_best_weights_are_ordinary_ones(fit: Fit) -> None:
    done = fit("tiny")
    assert done.lines == log_of(done.output)
    assert done.losses[-1] < done.losses[0] - 0.1
    assert [line["epoch"] for line in done.validations] == list(range(4))
    assert set(done.validations[0]["validation"]) == {"spots", "folder", "all"}
    assert set(done.validations[0]["validation"]["all"]) == {"CC", "NSS", "AUC-Judd", "SIM", "KLD"}
    saved = done.best
    loaded = load_model("tiny", weights_file=saved.path, device="cpu").model.network.state_dict()
    assert all(torch.equal(tensor, saved.state[key]) for key, tensor in loaded.items())


def shortened(clip: Recording, count: int) -> Recording:
    return replace(clip, annotations=clip.annotations[:count], frames=(clip.frames or [])[:count])


def test_two_halves_added_up_are_one_batch(fit: Fit, clips: list[Recording]) -> None:
    short = [shortened(clip, 9) for clip in clips]
    same: dict[str, Any] = {"data": Lists(short[:4], short[4:]), "clip_length": 9, "clip_stride": 1}
    whole = fit(**same, batch_size=4).network
    mean = fit(**same, accumulation=2).network
    assert close(whole, mean)
    assert not close(mean, fit(**same).network)


def test_gradients_are_clipped_for_each_frame_of_a_loss(fit: Fit) -> None:
    def moved(clip: float) -> float:
        torch.manual_seed(5)
        before = create("little", defaults={})
        torch.manual_seed(5)
        start = before.build().state_dict()
        after = fit(epochs=1, batch_size=4, gradient_clip=clip, learning_rate=1.0).network
        return float(torch.cat([(after[key] - start[key]).flatten() for key in start]).norm())

    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved(0.02) == pytest.approx(0.02, rel=1e-3)


def test_frozen_parameters_do_not_move(fit: Fit) -> None:
    model = create("tiny", defaults={})
    torch.manual_seed(7)
    before = model.build().state_dict()
    still = fit("tiny", epochs=1, ema=None)
    moved = fit("tiny", epochs=2, ema=None)
    for key in ("backbone.weight", "backbone.bias"):
        assert torch.equal(still.network[key], before[key])
        assert not torch.equal(moved.network[key], before[key])
    assert not torch.equal(still.network["head.weight"], before["head.weight"])
    saved = load_file(still.output / "best.safetensors")  # without an average, the network itself
    assert all(torch.equal(tensor, saved[key]) for key, tensor in still.network.items())


def test_workers_make_no_difference(fit: Fit) -> None:
    alone, shared = fit(), fit(running=Running(workers=2, memory=10_000))
    assert all(map(torch.equal, alone.network.values(), shared.network.values()))


def test_whole_clips_go_alone_and_step_by_step(fit: Fit) -> None:
    with pytest.raises(UsageError, match="one process needs a batch size of 1, not 2"):
        fit(clip_length=0)
    with pytest.raises(UsageError, match=r"4 are too short or not annotated\): too few"):
        fit(clip_length=40)
    passes: dict[str, Any] = {"options": ["frames_per_pass=4"], "clip_length": 0, "batch_size": 1}
    steps = fit(**passes, epochs=1)
    once = fit(**{**passes, "options": []}, epochs=1)
    assert not close(steps.network, once.network)
    with pytest.raises(UsageError, match="cannot be accumulated; start again without accum"):
        fit(**passes, accumulation=2)


def test_a_loss_that_is_no_number_ends_the_training(fit: Fit) -> None:
    with pytest.raises(SalcliError, match=r"the loss became nan in epoch .*smaller learning rate"):
        fit("tiny", learning_rate=1e30, gradient_clip=None)


def test_a_dry_run_measures_everything_and_leaves_nothing(
    little: None, clips: list[Recording], tmp_path: Path
) -> None:
    model = create("little", defaults={})
    recipe: Recipe = model.recipes()["plain"]
    corpus = Corpus.of(Lists(clips[:4], clips[4:]), Source("lists"), recipe)
    found = measure(model, [corpus], recipe, Running())
    assert found["steps"] == 2 * 2
    assert found["memory"] > 10_000_000
    seconds = found["seconds"]
    assert 0 < seconds["step"] < seconds["training"]
    assert not list(tmp_path.iterdir())


class Counted(Ranks):
    """One process that counts how often losses are read."""

    reads = 0

    def mean(self, values: Sequence[Mapping[str, torch.Tensor]]) -> list[dict[str, float]]:
        self.reads += 1
        return super().mean(values)


def test_losses_are_read_only_where_a_line_is_written(fit: Fit) -> None:
    counted = Counted()
    done = fit("tiny", epochs=1, batch_size=1, running=Running(ranks=counted))
    (line,) = (line for line in done.lines if "losses" in line)
    assert (line["step"], counted.reads) == (9, 1)
    every = fit("tiny", epochs=1, batch_size=1, running=Running(checkpoint_seconds=0))
    assert every.losses == done.losses


def test_a_state_after_a_loss_that_is_no_number_is_not_saved(fit: Fit, tmp_path: Path) -> None:
    def step(seconds: float) -> int:
        output = tmp_path / str(seconds)
        with pytest.raises(SalcliError, match=r"in epoch 1, step (\d+);") as found:
            fit("tiny", output=output, **broken, running=Running(checkpoint_seconds=seconds))
        assert progress(output)[0] == 0
        return int(re.search(r"step (\d+)", str(found.value))[1]) - progress(output)[1]  # type: ignore[index]

    broken: dict[str, Any] = {"learning_rate": 1e30, "gradient_clip": None, "batch_size": 1}
    assert step(0) == 1  # saved before it
    assert step(600) > 1
