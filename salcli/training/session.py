"""`salcli.train` and `salcli.finetune`: a training with all that surrounds the loop."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Unpack, cast

from salcli import devices
from salcli.files import checkpoint
from salcli.gaze import groundtruth
from salcli.plugins import registry
from salcli.recipe import RecipeOverrides, TrainedDataset, TrainingRun
from salcli.terminal.progress import Silence, Watcher
from salcli.training import curves, distributed, dryrun, validation
from salcli.training.evaluate import EvaluationSplit, choose_evaluations, evaluate
from salcli.training.prepare import PreparedTraining, TrainingRequest, prepare
from salcli.training.rundir import BEST, LOG, ReportLine
from salcli.training.train import Running
from salcli.training.train import train as run_loop
from salcli.types import Precision

__all__ = ["TrainingKeywords", "dry_run", "finetune", "train"]

logger = logging.getLogger(__name__)

MEGABYTE = 1_000_000


class TrainingKeywords(RecipeOverrides, total=False):
    """Keywords of `train` and `finetune`.

    Those of `RecipeOverrides`, such as `epochs` and `batch_size`, replace values of the recipe.

    data: Datasets, each `NAME` or `NAME=DIR`; the recipe's by default.
    roots: Folders of the only dataset; without `data` it is the dataset `folder`.
    data_options: Options of the datasets, as `key=value` texts or a mapping.
    weights: File to start from: of the model itself, or of a backbone that it knows.
    options: Options of the model, as `key=value` texts or a mapping.
    recipe: Name of one of the model's recipes; its first by default.
    evaluate: Datasets, each `NAME[:SPLIT][=DIR]`, on which the best weights are scored in the end;
        those of the recipe that are there by default.
    workers: Processes that prepare batches; 2 by default.
    frame_memory: Megabytes of decoded frames that are cached; 512 by default.
    filters: Around the model, such as `letterbox`; each must be for training, too.
    device, precision: As `load_model` takes them.
    deterministic: Use deterministic algorithms, and fail where none exists.
    checkpoint_minutes: Save the state this often, besides after every epoch; 10 by default.
    """

    data: Sequence[str]
    roots: Sequence[str | Path]
    data_options: Sequence[str] | Mapping[str, Any]
    weights: str | Path | None
    options: Sequence[str] | Mapping[str, Any]
    recipe: str | None
    evaluate: Sequence[str] | None
    workers: int
    frame_memory: int
    filters: Sequence[str]
    device: str
    precision: Precision
    deterministic: bool
    checkpoint_minutes: float


def train(
    model: str = "unisal",
    *,
    output: str | Path,
    report: ReportLine = lambda line: None,
    watch: Callable[[int], Watcher] = lambda total: Silence(),
    steps: Watcher | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> Path:
    """Train a model; an interrupted training with the same arguments goes on in its folder.

    Args:
        model: `NAME` starts from `weights` or from scratch; `NAME:TAG` from published weights, the
            folder of another training from its best ones.
        output: Folder of the run.
        report: Receives each line of the log as a mapping, and what follows the training.
        watch: Makes the watcher of so many evaluations.
        steps: Is told what is trained, and watches the steps of each epoch.
        keywords: See `TrainingKeywords`.

    Returns:
        The file with the best weights, whose metadata have their validation scores. Scores of an
        evaluation lie in the folder `evaluation` beside it.

    Raises:
        UsageError: The data are too few, or the folder holds another training.
        SalcliError: Something cannot be found, read, written or computed.
    """
    watchers = watch, steps or Silence()
    return _run(model, Path(output), report, watchers, finetunes=False, keywords=keywords)


def finetune(
    model: str = registry.DEFAULT_MODEL,
    *,
    output: str | Path,
    report: ReportLine = lambda line: None,
    watch: Callable[[int], Watcher] = lambda total: Silence(),
    steps: Watcher | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> Path:
    """Like `train`, but `NAME` starts from the model's published weights, or from `weights`.

    The recipe is the model's `finetune-DATASET`, or its `finetune`, or its first. The weights that
    it starts from compete with those of each epoch, so that the best ones are never worse. `report`
    also receives the validation scores before and after.
    """
    watchers = watch, steps or Silence()
    return _run(model, Path(output), report, watchers, finetunes=True, keywords=keywords)


def dry_run(
    model: str, *, finetunes: bool, report: ReportLine, **keywords: Unpack[TrainingKeywords]
) -> None:
    """Report memory and time of a training; see `dryrun.measure`.

    Raises:
        SalcliError: As `train` and `finetune`.
    """
    with _session(model, finetunes=finetunes, keywords=keywords) as (training, running, _):
        found = dryrun.measure(training.model, training.corpora, training.recipe, running)
        if running.ranks.number == 0:
            report(found)


def _run(
    model: str,
    output: Path,
    report: ReportLine,
    watchers: tuple[Callable[[int], Watcher], Watcher],
    *,
    finetunes: bool,
    keywords: TrainingKeywords,
) -> Path:
    watch, steps = watchers
    with _session(model, finetunes=finetunes, keywords=keywords) as (training, running, chosen):
        if running.ranks.number == 0:
            running = dataclasses.replace(running, watcher=steps)
        with running.watcher:
            best = _trained(training, running, output, report, finetunes=finetunes)
    if running.ranks.number:
        return best
    run = _describe(training, running, output)
    training.model.finish(run)
    if chosen:
        with watch(len(chosen)) as watcher:
            evaluate(chosen, training.model, run, watcher=watcher, report=report)
    return best


@contextmanager
def _session(
    model: str, *, finetunes: bool, keywords: TrainingKeywords
) -> Iterator[tuple[PreparedTraining, Running, Sequence[EvaluationSplit]]]:
    """What is trained, how, and on what it is evaluated, while all processes are connected."""
    device = keywords.get("device", "auto")
    with distributed.started(distributed.local_device(device)) as ranks:
        training = prepare(_request(model, finetunes=finetunes, keywords=keywords))
        chosen, missing = choose_evaluations(keywords.get("evaluate"), training)
        problems = [f"{each.name}: {text}" for each in training.corpora for text in each.problems]
        for line in (*problems, *missing) if ranks.number == 0 else ():
            logger.warning(line)
        running = Running(
            workers=keywords.get("workers", 2),
            memory=keywords.get("frame_memory", 512) * MEGABYTE,
            precision=devices.precision(keywords.get("precision", "auto")),
            checkpoint_seconds=60 * keywords.get("checkpoint_minutes", 10.0),
            ranks=ranks,
        )
        yield training, running, chosen


def _request(model: str, *, finetunes: bool, keywords: TrainingKeywords) -> TrainingRequest:
    weights, options = keywords.get("weights"), keywords.get("data_options", ())
    if isinstance(options, Mapping):
        options = [f"{key}={value}" for key, value in options.items()]
    given: Mapping[str, object] = keywords
    overrides = {key: given[key] for key in RecipeOverrides.__annotations__ if key in given}
    return TrainingRequest(
        model,
        options=keywords.get("options", ()),
        weights=Path(weights) if weights else None,
        finetune=finetunes,
        recipe=keywords.get("recipe"),
        overrides=cast(RecipeOverrides, overrides),
        data=keywords.get("data", ()),
        roots=[Path(root) for root in keywords.get("roots", ())],
        data_options=options,
        filters=keywords.get("filters", ()),
        device=keywords.get("device", "auto"),
        deterministic=keywords.get("deterministic", False),
    )


def _trained(
    training: PreparedTraining,
    running: Running,
    output: Path,
    report: ReportLine,
    *,
    finetunes: bool,
) -> Path:
    """Train and draw the curves; a finetuning also reports validation scores before and after."""
    model, recipe, corpora = training.model, training.recipe, training.corpora
    ranks = running.ranks

    def scores() -> validation.Scores:
        return validation.by_maps(model, corpora, recipe=recipe, ranks=ranks) if finetunes else {}

    before = scores()
    with curves.board(output) if ranks.number == 0 else nullcontext() as tensorboard:
        best = run_loop(
            model,
            corpora,
            recipe=recipe,
            output=output,
            metadata={**training.metadata, **_describe_arithmetic(running)},
            running=running,
            report=_everywhere(report, tensorboard),
            start=before if finetunes else None,
        )
    ranks.gather(None)  # the best weights are written
    if finetunes:
        model.load(checkpoint.read(best))
        model.network.eval()
    after = scores()
    if ranks.number == 0:
        curves.draw(output)
        if finetunes:
            epoch = checkpoint.read(best).metadata["epoch"]
            named = {"select": recipe.select, "epoch": epoch}
            report({"before": before, "after": after, **named})
        report({"weights": str(best)})
    return best


def _everywhere(*reports: ReportLine | None) -> ReportLine:
    """Give each line to all of these that exist."""

    def report(line: Mapping[str, Any]) -> None:
        for each in filter(None, reports):
            each(line)

    return report


def _describe_arithmetic(running: Running) -> dict[str, Any]:
    """What the metadata says of how the training ran, as far as it matters for the result."""
    described: dict[str, Any] = {"precision": str(running.precision).removeprefix("torch.")}
    return described | ({"processes": running.ranks.count} if running.ranks.count > 1 else {})


def _describe(training: PreparedTraining, running: Running, output: Path) -> TrainingRun:
    """The run as plain data."""
    used = [
        TrainedDataset(
            corpus.name,
            dataset.edition,
            groundtruth.frame_size(corpus.training[0]),
            corpus.batch_size,
            corpus.clip_length,
            corpus.clip_stride,
            corpus.truth_size,
        )
        for corpus, dataset in zip(training.corpora, training.datasets, strict=True)
    ]
    best, log = output / BEST, output / LOG
    return TrainingRun(output, best, log, training.recipe, used, running.workers)
