"""`salcli.compare`: differences of score reports over the same videos or images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from salcli.errors import InputError, UsageError
from salcli.files.jsonfile import read_json
from salcli.scoring import bootstrap, plots
from salcli.scoring.bootstrap import Interval
from salcli.scoring.document import FORMAT, VERSION, differences
from salcli.scoring.joint import joined
from salcli.scoring.limits import Limit, parse_limit
from salcli.scoring.shape import checked
from salcli.scoring.write import SCORES

__all__ = ["Comparison", "broken", "check_alike", "compare", "pair", "read"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Two reports over the videos or images that both have.

    Attributes:
        names: Of the reports; the second is compared with the first.
        over: What is resampled for the intervals, with its number, such as `12 images`.
        gains: How much higher the second mean is, by metric and way of averaging.
        higher_is_better: By metric.
        leads: How much better the second is on each video, by metric; NaN where undefined.
        broken: A line for each limit that the second report does not keep.
    """

    names: tuple[str, str]
    over: str
    gains: Mapping[str, Mapping[str, Interval]]
    higher_is_better: Mapping[str, bool]
    leads: Mapping[str, Sequence[float]]
    broken: Sequence[str] = ()

    def share(self, metric: str) -> float:
        """Share of the videos on which the second is at least as good; NaN if nowhere defined."""
        leads = np.asarray(self.leads[metric], np.float64)
        defined = leads[~np.isnan(leads)]
        return float((defined >= 0).mean()) if defined.size else math.nan

    def better(self, metric: str, one: Interval) -> str:
        """Name of the one that is significantly better, or `-`."""
        if math.isnan(one.low) or one.low <= 0 <= one.high:
            return "-"
        return self.names[(one.mean > 0) == self.higher_is_better[metric]]

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "first": self.names[0],
            "second": self.names[1],
            "over": self.over,
            "differences": {
                metric: {way: one.document() for way, one in ways.items()}
                | {"share at least as good": _or_none(self.share(metric))}
                for metric, ways in self.gains.items()
            },
        }


def compare(
    reports: Sequence[str | Path | Mapping[str, Any]],
    *,
    fail_below: Sequence[str] = (),
    force: bool = False,
    plot: str | Path | None = None,
    table: str | Path | None = None,
) -> list[Comparison]:
    """Compare score reports with the first one, as `salcli compare` does.

    Differences have paired bootstrap intervals over the videos or images that both reports have.

    Args:
        reports: `scores.json` files, their folders, or documents as `salcli.score` returns them.
        fail_below: Limits `METRIC=GAIN`, or `GAIN` for every metric: how much better another report
            must be, or with a negative number how much worse it may be.
        force: Compare even if protocol or data differ.
        plot: Plot two reports side by side on each video, or the means and intervals of more, into
            this file: PNG, PDF or SVG.
        table: Write one table of all reports into this file: Markdown (`.md`) or LaTeX (`.tex`).

    Raises:
        UsageError: There are too few or too many reports, or they cannot be compared.
        UnknownName: A limit names a metric that the reports lack.
        InputError: A report cannot be read.
        OutputError: The plot cannot be written.
    """
    if len(reports) < 2:
        raise UsageError("a comparison needs at least two reports")
    first, *others = (each if isinstance(each, Mapping) else read(Path(each)) for each in reports)
    limits = [parse_limit(text, kind="metric", names=list(first["scores"])) for text in fail_below]
    comparisons = []
    for other in others:
        if not force:
            check_alike(first, other)
        comparison = pair(first, other)
        missing = [each.name for each in limits if each.name not in (None, *comparison.gains)]
        if missing:
            raise UsageError(f"'{other['name']}' has no {missing[0]}, which a limit names")
        comparisons.append(replace(comparison, broken=list(broken(limits, comparison))))
    together = joined([first, *others]) if table is not None or plot is not None else None
    if together and table is not None:
        together.write(Path(table))
    if together and plot is not None and others[1:]:
        plots.models(Path(plot), together)
    elif plot is not None:
        only = comparisons[0]
        plots.side_by_side(Path(plot), only.names, only.over, only.leads)
    return comparisons


def read(path: Path) -> dict[str, Any]:
    """A report, from its file or its folder.

    Raises:
        InputError: There is none.
    """
    file = path / SCORES if path.is_dir() else path
    document = read_json(file, dict[str, Any])
    if document.get("format") != FORMAT:
        raise InputError(f"'{file}' is no {SCORES} of 'salcli score'")
    if document.get("version") != VERSION:
        raise InputError(f"'{file}' is from a later version of salcli; update salcli")
    try:
        checked(document)
    except ValueError as error:
        raise InputError(f"'{file}' is damaged: {error}") from error
    return document


def check_alike(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Refuse two reports whose protocol, data or frames differ.

    Raises:
        UsageError: They do; the message names up to five settings.
    """
    found = differences(_conditions(first), _conditions(second))
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise UsageError(
            f"'{first['name']}' and '{second['name']}' cannot be compared, since they differ in "
            f"{', '.join(found[:5])}{more}; score both alike, or force the comparison"
        )


def _conditions(document: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that must agree so that a difference is due to the maps."""
    data, protocol = document["dataset"], document["protocol"]
    return {
        "dataset": {
            key: value
            for key, value in data.items()
            if key in ("name", "edition", "split") or key.startswith("sha256")
        },
        "protocol": {
            key: value for key, value in protocol.items() if key not in ("metrics", "left out")
        },
        "metrics": {
            name: value for name, value in protocol["metrics"].items() if name in document["scores"]
        },
        "kernel": document["ground truth"]["kernel"],
        "density": sorted(document["ground truth"]["density"]),
    }


def pair(first: Mapping[str, Any], second: Mapping[str, Any], *, seed: int = 0) -> Comparison:
    """Compare two reports in the metrics and videos that both have.

    Raises:
        UsageError: They have no metric or no video in common.
    """
    metrics = [name for name in first["scores"] if name in second["scores"]]
    videos = [{v["name"]: v for v in document["videos"]} for document in (first, second)]
    shared = [name for name in videos[0] if name in videos[1]]
    if not metrics or not shared:
        what = "videos or images" if metrics else "metrics"
        raise UsageError(f"'{first['name']}' and '{second['name']}' have no {what} in common")
    sums = [_sums([found[name] for name in shared], metrics) for found in videos]
    gains: dict[str, dict[str, Interval]] = {metric: {} for metric in metrics}
    for way in _ways(first):
        averaging: Any = "frames" if way == "images" else way
        intervals = bootstrap.difference(sums[0], sums[1], averaging, seed=seed)
        for metric, one in zip(metrics, intervals, strict=True):
            gains[metric][way] = one
    higher = {metric: first["scores"][metric]["higher is better"] for metric in metrics}
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [total / count for total, count in sums]
    leads = {
        metric: ((means[1] - means[0])[:, column] * (1 if higher[metric] else -1)).tolist()
        for column, metric in enumerate(metrics)
    }
    over = f"{len(shared)} {first['bootstrap']['over']}"
    return Comparison((first["name"], second["name"]), over, gains, higher, leads)


def broken(limits: Sequence[Limit], found: Comparison) -> Iterator[str]:
    """A line for each limit that the second report does not keep, in the published average.

    A change counts as a gain: for a metric where lower is better, a fall.
    """
    for limit in limits:
        for metric in [limit.name] if limit.name is not None else found.gains:
            one = next(iter(found.gains[metric].values()))
            gain = one.mean if found.higher_is_better[metric] else -one.mean
            if not limit.keeps(gain):
                yield (
                    f"{found.names[1]}: {metric} is better by {gain:+.4f} than that of "
                    f"{found.names[0]}, at least {limit.value:+.4f} is required"
                )


def _ways(document: Mapping[str, Any]) -> list[str]:
    """Ways of averaging in the report, the published one first."""
    known = ("images", "frames", "videos")
    return [key for key in next(iter(document["scores"].values())) if key in known]


def _sums(videos: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> tuple[Floats, Floats]:
    means = np.array(
        [
            [video["means"][m] if video["means"][m] is not None else 0.0 for m in metrics]
            for video in videos
        ]
    )
    counts = np.array([[video["defined"][m] for m in metrics] for video in videos], np.float64)
    return means * counts, counts


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
