"""The training loop, read top to bottom."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from salcli.devices import exactly, to_channels_last
from salcli.models.model import Model
from salcli.recipe import Recipe
from salcli.terminal.events import Silence, Watcher
from salcli.training.batches import Batches
from salcli.training.checks import check, check_accumulation
from salcli.training.distributed import ALONE, Ranks
from salcli.training.loader import Loader, moved
from salcli.training.optimisation import (
    autocast,
    freeze,
    make_average,
    make_optimiser,
    make_schedule,
    rate_factor,
)
from salcli.training.plan import Corpus
from salcli.training.rundir import BEST, ReportLine, RunFolder
from salcli.training.signals import listening
from salcli.training.state import Progress, Unread, losses_line, out_of_patience, rank
from salcli.training.validation import Scores, by_losses, by_maps

__all__ = ["Running", "train"]

STEPS_PER_LINE = 20


@dataclass(frozen=True)
class Running:
    """How a training runs on this machine; none of it belongs to the recipe.

    Attributes:
        workers: Processes that prepare batches; 0 for this one. The result does not depend on it.
        memory: Bytes of decoded frames that all workers cache together.
        precision: Of the network's arithmetic; the weights stay float32.
        checkpoint_seconds: The state is saved this often, besides after every epoch.
        ranks: This process among those that train together.
        watcher: Shows the steps of an epoch.
    """

    workers: int = 0
    memory: int = 0
    precision: torch.dtype = torch.float32
    checkpoint_seconds: float = 600.0
    ranks: Ranks = ALONE
    watcher: Watcher = field(default_factory=Silence)


@exactly(torch.float32)
def train(
    model: Model,
    corpora: Sequence[Corpus],
    *,
    recipe: Recipe,
    output: Path,
    metadata: Mapping[str, Any],
    running: Running,
    report: ReportLine,
    start: Scores | None = None,
) -> Path:
    """Train `model.network` in place; returns the file with the best weights.

    Writes to `output`: `log.jsonl`; `last.pt`, from which an interrupted training resumes, to the
    last bit where the arithmetic is deterministic; and `best.safetensors`, the weights
    (their moving average, where the recipe has one) of the epoch with the best `recipe.select`,
    ordinary weights for every other command.

    Args:
        model: Its network is trained from the weights that it has.
        corpora: The recordings.
        recipe: How it is trained.
        output: Folder of the run.
        metadata: Goes into `best.safetensors`, with the epoch and its scores. Only a training with
            the same metadata resumes in the same folder.
        running: Settings of this machine.
        report: Receives every line of the log.
        start: Scores of the weights that it starts from, which then compete as an epoch -1.

    Raises:
        UsageError: There are too few recordings, `output` holds another training, or the selecting
            metric does not exist.
        InputError: A file of a recording cannot be read.
        OutputError: `output` cannot be written.
        Stopped: Ctrl-C or SIGTERM; the state is written.
        SalcliError: The loss is not finite any more.
    """
    ranks, memory = running.ranks, running.memory // max(1, running.workers)
    batches = Batches(corpora, model, recipe=recipe, share=ranks.share, memory=memory)
    validation = Batches(corpora, model, recipe=recipe, training=False, share=ranks.share)
    steps = len(batches.plan(0))
    updates = steps // recipe.accumulation
    check(corpora, batches, recipe=recipe, ranks=ranks)
    torch.manual_seed(recipe.seed + ranks.number)
    losses = ranks.wrap(model)
    network = model.network = to_channels_last(model.network)
    optimiser = make_optimiser(network, recipe)
    schedule = make_schedule(optimiser, network, recipe, steps=updates)
    scaler = torch.amp.GradScaler(model.device.type, enabled=running.precision == torch.float16)
    average = make_average(network, recipe) if recipe.ema is not None else None
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule, "scaler": scaler}
    parts |= {"average": average} if average else {}
    unread = Unread(ranks)
    run = RunFolder(output, parts, metadata, report=report, ranks=ranks, device=model.device)
    pinned = model.device.type == "cuda"
    loader = Loader(batches, workers=running.workers, pinned=pinned)
    validation_loader = Loader(validation, workers=running.workers, pinned=pinned)

    with listening() as stop:
        progress = run.start()
        lines = introduction(model, corpora, recipe, progress=progress, metadata=metadata)
        if start is not None and progress.is_new:
            with run.aside(stop) as pause:
                scores = start
                if recipe.select == "loss":
                    scores = validate(
                        model, corpora, validation_loader, recipe, ranks=ranks, pause=pause
                    )
            judge(run, model, recipe, scores, epoch=-1)
            run.save()
        while progress.epoch < recipe.epochs and not out_of_patience(progress, recipe):
            model.start_epoch(progress.epoch)
            freeze(network, recipe, progress.epoch)
            started = time.perf_counter() - progress.seconds
            running.watcher.start(f"epoch {progress.epoch + 1}/{recipe.epochs}", steps)
            for _ in range(progress.step):
                running.watcher.step()
            for batch in loader.epoch(progress.epoch, start=progress.step):
                while lines:
                    running.watcher.note(lines.pop(0))
                source = batches.corpus(progress.epoch, progress.step)
                complete = (progress.step + 1) % recipe.accumulation == 0
                computed = losses(moved(batch, model.device), exchange=complete)
                passes = autocast(computed, model.device, running.precision)
                for number, loss in enumerate(passes):
                    check_accumulation(number, recipe)
                    total = loss.total(recipe.losses)
                    unread.add(progress.step, source, {"loss": total, **loss.parts})
                    torch.autograd.backward(scaler.scale(total / recipe.accumulation))
                    if not complete:
                        continue
                    if recipe.gradient_clip is not None:
                        scaler.unscale_(optimiser)
                        longest = recipe.gradient_clip * loss.frames
                        nn.utils.clip_grad_norm_(network.parameters(), longest)
                    scaler.step(optimiser)
                    scaler.update()
                    optimiser.zero_grad()
                progress.step += 1
                running.watcher.step()
                if complete:
                    schedule.step()
                    if average:
                        average.update_parameters(network)
                written = progress.step % STEPS_PER_LINE == 0 or progress.step == steps
                if written:
                    unread.read(progress)
                progress.seconds = time.perf_counter() - started
                if written:
                    rate = recipe.learning_rate * rate_factor(schedule.last_epoch, updates, recipe)
                    run.write(losses_line(progress, steps, recipe, rate=rate))
                if complete:
                    run.save_if_due(
                        stop,
                        seconds=running.checkpoint_seconds,
                        first=partial(unread.read, progress),
                    )

            chosen = average.module if average else network
            ranks.align(chosen)
            with run.aside(stop) as pause:
                predictor = with_network(model, chosen)
                scores = validate(
                    predictor, corpora, validation_loader, recipe, ranks=ranks, pause=pause
                )
            judge(run, predictor, recipe, scores, epoch=progress.epoch)
            progress.next_epoch()
            run.save()
    return output / BEST


def introduction(
    model: Model,
    corpora: Sequence[Corpus],
    recipe: Recipe,
    *,
    progress: Progress,
    metadata: Mapping[str, Any],
) -> list[str]:
    """What is trained on what, in lines."""
    start = f"from {metadata['start']}" if metadata.get("start") else "from scratch"
    found = [f"training {model.spec.name} {start} on {model.device}, {recipe.epochs} epochs"]
    for corpus in corpora:
        counts = len(corpus.training), len(corpus.validation)
        found.append(f"  {corpus.name}: {counts[0]} to train on, {counts[1]} to validate on")
    if not progress.is_new:
        found.append(f"going on from epoch {progress.epoch + 1}, after step {progress.step}")
    return found


def judge(run: RunFolder, model: Model, recipe: Recipe, scores: Scores, *, epoch: int) -> None:
    """Log the scores of an epoch, and keep its weights if they are the best so far."""
    score = model.selecting_score(scores, recipe, epoch)
    better = score is not None and run.progress.is_best(rank(score, recipe))
    if better:
        run.save_best(model.network, epoch=epoch, scores=scores)
    run.write({"epoch": epoch, "epochs": recipe.epochs, "validation": scores, "best": better})


def validate(
    model: Model,
    corpora: Sequence[Corpus],
    loader: Loader,
    recipe: Recipe,
    *,
    ranks: Ranks,
    pause: Callable[[], None],
) -> Scores:
    """Losses on the validation batches where the recipe selects by them, metrics otherwise."""
    if recipe.select != "loss":
        return by_maps(model, corpora, recipe=recipe, ranks=ranks, pause=pause)
    return by_losses(model, loader, weights=recipe.losses, ranks=ranks, pause=pause)


def with_network(model: Model, network: nn.Module) -> Model:
    """The same model around another network, ready to predict."""
    other = copy.copy(model)
    other.network = network.eval()
    other.input_device = other.device
    return other
