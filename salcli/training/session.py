"""Runs a training from the command line: what is said, drawn and measured around it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salcli import logs
from salcli.training.evaluate import choose
from salcli.training.evaluate import evaluate as run_exams
from salcli.training.prepare import Request, Training

if TYPE_CHECKING:
    from salcli.training.rundir import ReportLine
    from salcli.training.train import Running

__all__ = ["begin"]

MEGABYTE = 1_000_000


def begin(
    given: Mapping[str, Any], *, published: bool, compare: bool, recipes: Sequence[str] = ()
) -> None:
    """Do what the options of `salcli train` or `salcli finetune` say.

    Args:
        given: The options, by the names of the command's parameters.
        published: Whether the bare name of a model means its first published weights.
        compare: Whether the model is scored before and after.
        recipes: Names that are looked for first, in order.

    Raises:
        SalcliError: Something cannot be read, written or computed.
    """
    given["context"].with_resource(logs.logging_to_terminal(quiet=False, verbose=given["verbose"]))
    conduct(
        Request.of(given, published=published, recipes=recipes),
        output=given["output"],
        workers=given["workers"],
        frame_memory=given["frame_memory"],
        precision=given["precision"],
        checkpoint_minutes=given["checkpoint_minutes"],
        dry_run=given["dry_run"],
        as_json=given["as_json"],
        compare=compare,
        evaluate=given["evaluate"],
    )


def conduct(
    request: Request,
    *,
    output: Path,
    workers: int,
    frame_memory: int,
    precision: str,
    checkpoint_minutes: float,
    dry_run: bool,
    as_json: bool,
    compare: bool,
    evaluate: Sequence[str] | None,
) -> None:
    """Prepare and run a training, or rehearse it.

    Args:
        request: What is trained on what.
        output: Folder of the run.
        workers: Processes that prepare batches.
        frame_memory: MB of decoded frames that they remember.
        precision: Of the arithmetic, by name.
        checkpoint_minutes: Between two writings of the state.
        dry_run: Whether it is only rehearsed.
        as_json: Whether lines are printed as JSON.
        compare: Whether the model is scored before and after.
        evaluate: On what the result is scored; see `evaluating.choose`.

    Raises:
        SalcliError: Something cannot be read, written or computed.
    """
    from salcli import devices
    from salcli.training import distributed
    from salcli.training.train import Running

    report = print_json if as_json else print_line
    with distributed.started(distributed.local_device(request.device)) as ranks:
        training = Training.prepare(request)
        exams, missing = choose(evaluate, training)
        problems = [f"{each.name}: {text}" for each in training.corpora for text in each.problems]
        for line in (*problems, *missing) if ranks.number == 0 else ():
            say(line)
        running = Running(
            workers=workers,
            memory=frame_memory * MEGABYTE,
            precision=devices.precision(precision),
            checkpoint_seconds=60 * checkpoint_minutes,
            ranks=ranks,
        )
        if dry_run:
            from salcli.training.dryrun import rehearse

            found = rehearse(training.model, training.corpora, training.recipe, running)
            if ranks.number == 0:
                report(found)
            return
        perform(training, running, output, report, compare=compare)
    if ranks.number == 0 and exams:
        run_exams(exams, training, output, device=request.device, report=report)


def perform(
    training: Training, running: Running, output: Path, report: ReportLine, *, compare: bool
) -> None:
    """Train; draw the curves; with `compare` say how the model scored before and scores now."""
    from salcli import checkpoint
    from salcli.training.curves import board, draw
    from salcli.training.train import train
    from salcli.training.validation import by_maps

    model, recipe, corpora = training.model, training.recipe, training.corpora
    ranks = running.ranks

    def scores() -> Mapping[str, Any]:
        return by_maps(model, corpora, recipe=recipe, ranks=ranks) if compare else {}

    before = scores()
    with board(output) if ranks.number == 0 else nullcontext() as tensorboard:

        def tell(line: Mapping[str, Any]) -> None:
            report(line)
            if tensorboard:
                tensorboard(line)

        best = train(
            model,
            corpora,
            recipe=recipe,
            output=output,
            metadata={**training.metadata, **describe_run(running)},
            running=running,
            report=tell,
        )
    ranks.gather(None)  # the best weights are written
    if compare:
        model.load(checkpoint.read(best))
        model.network.eval()
    after = scores()
    if ranks.number:
        return
    draw(output)
    model.finish_training(output, corpora, recipe=recipe, running=running)
    if compare:
        report({"before": before, "after": after})
    report({"weights": str(best)})


def describe_run(running: Running) -> dict[str, Any]:
    """What the metadata says of how the training ran, as far as it matters for the result."""
    described: dict[str, Any] = {"precision": str(running.precision).removeprefix("torch.")}
    return described | ({"processes": running.ranks.count} if running.ranks.count > 1 else {})


def print_json(line: Mapping[str, Any]) -> None:
    """One JSON document per line on stdout."""
    print(json.dumps(line), flush=True)


def print_line(line: Mapping[str, Any]) -> None:
    """A readable line on stderr."""
    match line:
        case {"weights": path}:
            say(f"best weights: {path}")
        case {"before": before, "after": after}:
            for when, scores in (("before", before), ("after", after)):
                say(f"{when:<6}  validation {'all':<10} {shown(scores['all'])}")
        case {"evaluation": name, "scores": scores}:
            skipped = f"  ({line['skipped']} frames skipped)" if line["skipped"] else ""
            say(f"{name}  {line['split']} by {line['protocol']}  {shown(scores)}{skipped}")
            say(f"  more in {line['report']}")
        case {"evaluation": name, "maps": folder}:
            say(f"{name}  {line['split']} has no ground truth; maps for its benchmark: {folder}")
        case {"memory": memory, "steps": steps, "seconds": seconds}:
            peak = "unknown memory" if memory is None else f"{memory / 1e9:.2f} GB at most"
            say(
                f"dry run: {peak}; {steps} steps of "
                f"{seconds['step']:.3f} s, {clock(seconds['validation'])} for each validation, "
                f"{clock(seconds['training'])} in all"
            )
        case {"validation": validation}:
            for group, scores in validation.items():
                if group != "all" and scores == validation["all"]:
                    continue
                mark = "  (best so far)" if line["best"] and group == "all" else ""
                say(f"{place(line)}  validation {group:<10} {shown(scores)}{mark}")
        case _:
            say(
                f"{place(line)}  step {line['step']}/{line['steps']}  {shown(line['losses'])}  "
                f"{clock(line['left'])} left"
            )


def place(line: Mapping[str, Any]) -> str:
    """Which epoch of how many."""
    return f"epoch {line['epoch'] + 1}/{line['epochs']}"


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def shown(values: Mapping[str, float]) -> str:
    """Numbers by name, in one line."""
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())


def clock(seconds: float) -> str:
    """Hours where there are any, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
