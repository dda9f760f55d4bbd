"""Learning curves of a run: as a picture, and for TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from salcli.files.atomic import replacing, reporting_os_errors
from salcli.render.plot import stacked
from salcli.training.rundir import LOG

__all__ = ["CURVES", "board", "draw", "points"]

CURVES, TENSORBOARD = "curves.png", "tensorboard"

SCORED = "validation/all/"
"""Beginning of the names of what is validated on all recordings."""

TITLES = {"training/": "loss", "rate": "learning rate"}
"""What is written beside the panels of other curves."""

Curves: TypeAlias = dict[str, list[tuple[float, float]]]


def points(line: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """What one line of the log says: name, time in epochs, value."""
    if "losses" in line:
        time = line["epoch"] + line["step"] / line["steps"]
        yield "rate", time, line["rate"]
        for name, value in line["losses"].items():
            yield f"training/{name}", time, value
        for source, losses in line["sources"].items():
            for name, value in losses.items():
                yield f"sources/{source}/{name}", time, value
    for group, scores in line.get("validation", {}).items():
        for name, value in scores.items():
            yield f"validation/{group}/{name}", line["epoch"] + 1, value


def draw(output: Path) -> None:
    """Draw the log of a run into `curves.png`: the losses, each metric of all, the rate.

    Where weights that the training started from were validated, a line shows their value.

    Raises:
        OutputError: The folder cannot be written.
    """
    log = output / LOG
    if not log.exists():
        return
    curves: Curves = defaultdict(list)
    for text in log.read_text(encoding="utf-8").splitlines():
        for name, time, value in points(json.loads(text)):
            curves[name].append((time, value))
    metrics = [name for name in curves if name.startswith(SCORED)]
    panels = ["training/", *metrics, "rate"]
    figure, axes = stacked(len(panels), sharex=True)
    for axis, prefix in zip(axes, panels, strict=True):
        for name, found in curves.items():
            if name.startswith(prefix):
                times, values = zip(*found, strict=True)
                axis.plot(times, values, marker=".", label=name.removeprefix(prefix) or None)
                if name in metrics and times[0] == 0:
                    axis.axhline(values[0], color="grey", linestyle="dashed", label="start")
        axis.set_ylabel(TITLES.get(prefix, prefix.removeprefix(SCORED)))
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize="small")
    axes[-1].set_xlabel("epoch")
    with replacing(output / CURVES) as part:
        figure.savefig(part, format="png", dpi=100)


@contextmanager
def board(output: Path) -> Iterator[Callable[[Mapping[str, Any]], None] | None]:
    """What writes the lines of the log for TensorBoard; `None` where that is not installed.

    It makes its folder at the first line, since a training may be refused before.
    """
    if importlib.util.find_spec("tensorboard") is None:
        yield None
        return
    with ExitStack() as stack:

        @cache
        def writer() -> Any:
            from torch.utils.tensorboard import SummaryWriter  # takes a second

            make: Any = SummaryWriter
            return stack.enter_context(make(output / TENSORBOARD))

        def write(line: Mapping[str, Any]) -> None:
            with reporting_os_errors(output / TENSORBOARD):
                for name, time, value in points(line):
                    writer().add_scalar(name, value, round(1000 * time))

        yield write
