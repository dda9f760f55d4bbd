"""Pictures of scores: over time, per video, and of models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli.errors import UsageError
from salcli.files.atomic import replacing
from salcli.render.plot import stacked
from salcli.scoring.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from salcli.scoring.joint import JointTable

__all__ = ["FORMATS", "distribution", "models", "over_time", "side_by_side"]

FORMATS = ("png", "pdf", "svg")
"""What plots can be, by the ending of their names."""

SINGLE_LINES = 12
"""Maximum number of videos with a line of their own."""

SPREAD = (5, 95)
"""Percentiles of the videos at the borders of the band of `over_time`."""

BETTER, WORSE = "tab:blue", "tab:red"


def over_time(path: Path, title: str, results: Results) -> None:
    """Plot each metric over frames: mean and spread, and a line per video if these are few.

    Nothing is drawn if there are only images.

    Raises:
        OutputError: The folder cannot be written.
    """
    length = max(int(results.positions(number).max()) + 1 for number in results.numbers)
    if length < 2:
        return
    figure, axes = stacked(len(results.metrics), title=title)
    for axis, name in zip(axes, results.metrics, strict=True):
        values = np.full((len(results.numbers), length), np.nan)
        for row, number in enumerate(results.numbers):
            values[row, results.positions(number)] = results.values(number, name)
        frames = np.arange(1, length + 1)
        if len(values) <= SINGLE_LINES:
            axis.plot(frames, values.T, color="tab:grey", linewidth=0.7)
        there = ~np.isnan(values).all(axis=0)
        if there.any():
            seen = values[:, there]
            low, high = np.nanpercentile(seen, SPREAD, axis=0)
            axis.fill_between(frames[there], low, high, color=BETTER, alpha=0.2, linewidth=0)
            axis.plot(frames[there], np.nanmean(seen, axis=0), color=BETTER, marker=".")
        axis.set_ylabel(name)
    axes[-1].set_xlabel("frame")
    _save(figure, path)


def distribution(path: Path, document: Mapping[str, Any]) -> None:
    """Histograms of each metric over videos or images.

    Raises:
        OutputError: The folder cannot be written.
    """
    metrics = list(document["scores"])
    over = document["bootstrap"]["over"]
    title = f"{document['name']}: {over}, and the mean over them"
    figure, axes = stacked(len(metrics), title=title)
    for axis, name in zip(axes, metrics, strict=True):
        means = [video["means"][name] for video in document["videos"]]
        defined = [mean for mean in means if mean is not None]
        if defined:
            axis.hist(defined, bins=min(40, max(5, len(defined) // 5)), color=BETTER)
            axis.axvline(float(np.mean(defined)), color="black", linewidth=1)
        axis.set_xlabel(name)
        axis.set_ylabel(over)
        axis.locator_params(axis="y", integer=True)
    _save(figure, path)


def side_by_side(
    path: Path, names: tuple[str, str], over: str, differences: Mapping[str, Sequence[float]]
) -> None:
    """Plot for each metric the lead of the second model on each video, in two colours.

    As SalEMA's evaluation plots two models. Above zero the second is better, also for metrics where
    lower is better.

    Raises:
        OutputError: The folder cannot be written.
    """
    figure, axes = stacked(len(differences))
    first, second = names
    for axis, (name, leads) in zip(axes, differences.items(), strict=True):
        lead = np.asarray(leads, np.float64)
        places = np.arange(1, len(lead) + 1)
        with np.errstate(invalid="ignore"):
            halves = (
                (lead >= 0, BETTER, f"{second} at least as good"),
                (lead < 0, WORSE, f"{first} better"),
            )
        for chosen, colour, label in halves:
            axis.scatter(places[chosen], lead[chosen], s=9, color=colour, label=label)
        axis.axhline(0, color="black", linewidth=0.7)
        axis.set_ylabel(f"lead in {name}")
        axis.locator_params(axis="x", integer=True)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="upper center", ncols=2)
    axes[-1].set_xlabel(f"{over}, in order")
    _save(figure, path)


def models(path: Path, table: JointTable) -> None:
    """Plot the mean and interval of each model, a panel per metric; baselines are dashed lines.

    Raises:
        UsageError: The file has another ending than one of `FORMATS`.
        OutputError: The folder cannot be written.
    """
    from matplotlib.figure import Figure

    ranked = [row for row in table.rows if row.is_model]
    others = [row for row in table.rows if not row.is_model]
    height = 0.35 * len(ranked) + 1.2
    figure = Figure(figsize=(7, height * len(table.metrics)), layout="constrained")
    axes = figure.subplots(len(table.metrics), squeeze=False)[:, 0]
    for axis, metric in zip(axes, table.metrics, strict=True):
        for place, row in enumerate(ranked):
            mean, low, high = row.scores[metric]
            if mean is not None:
                reach = None if low is None or high is None else [[mean - low], [high - mean]]
                colour = BETTER if table.is_best(row, metric) else "tab:grey"
                axis.errorbar(mean, place, xerr=reach, fmt="o", capsize=3, color=colour)
        for number, row in enumerate(others, start=1):
            value = row.scores[metric][0]
            if value is not None:
                axis.axvline(value, linestyle="dashed", color=f"C{number}", label=row.name)
        axis.set_yticks(range(len(ranked)), [row.name for row in ranked])
        axis.set_ylim(len(ranked) - 0.5, -0.5)
        better = "higher" if table.higher_is_better[metric] else "lower"
        axis.set_xlabel(f"{metric}, mean and 95 % interval ({better} is better)")
        if others:
            axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"'{path}': a plot is one of {', '.join(FORMATS)}")
    from matplotlib import rc_context

    # the same scores give the same bytes
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    with replacing(path) as part, rc_context({"svg.hashsalt": "salcli"}):
        figure.savefig(part, format=kind, dpi=100, metadata=metadata)
