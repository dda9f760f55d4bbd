"""Compares score reports over the same videos or images."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from salcli.errors import InputError, UnknownName, UsageError
from salcli.scoring import bootstrap
from salcli.scoring.bootstrap import Interval
from salcli.scoring.document import FORMAT, differences
from salcli.scoring.write import SCORES

__all__ = ["Limit", "Pair", "broken", "check_alike", "pair", "parse_limit", "read"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two reports over the videos or images that both have.

    Attributes:
        names: Of the reports; the second is compared with the first.
        over: What is drawn anew for the intervals, and how many there are.
        gains: By metric and way of averaging how much higher the second mean is.
        higher_is_better: By metric.
        leads: By metric, for each video, by how much the second is better; NaN where undefined.
    """

    names: tuple[str, str]
    over: str
    gains: Mapping[str, Mapping[str, Interval]]
    higher_is_better: Mapping[str, bool]
    leads: Mapping[str, Sequence[float]]

    def share(self, metric: str) -> float:
        """On which share of the videos the second is at least as good; NaN where never defined."""
        leads = np.asarray(self.leads[metric], np.float64)
        defined = leads[~np.isnan(leads)]
        return float((defined >= 0).mean()) if defined.size else math.nan

    def better(self, metric: str, one: Interval) -> str:
        """Which of the two is better beyond chance, or `-`."""
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


@dataclass(frozen=True)
class Limit:
    """How much a metric must get better at least; below zero how much worse it may get."""

    metric: str
    change: float


def read(path: Path) -> dict[str, Any]:
    """A report, from its file or from the folder that it is in.

    Raises:
        InputError: There is none.
    """
    file = path / SCORES if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{file}' cannot be read as scores: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"'{file}' is no {SCORES} of 'salcli score'")
    if document.get("version") != 1:
        raise InputError(f"'{file}' is of a later version of salcli; update it")
    return document


def check_alike(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Refuse two reports that were made otherwise or of other data.

    Raises:
        UsageError: They were; the message names up to five settings.
    """
    found = differences(_conditions(first), _conditions(second))
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise UsageError(
            f"'{first['name']}' and '{second['name']}' cannot be compared, since they differ in "
            f"{', '.join(found[:5])}{more}; score both alike, or use --force"
        )


def _conditions(document: Mapping[str, Any]) -> dict[str, Any]:
    """All that must agree for a difference to be one of the maps."""
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


def pair(first: Mapping[str, Any], second: Mapping[str, Any], *, seed: int = 0) -> Pair:
    """The differences of two reports, in the metrics and videos that both have.

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
    return Pair((first["name"], second["name"]), over, gains, higher, leads)


def parse_limit(text: str, *, metrics: Sequence[str]) -> Limit:
    """The limit `METRIC=CHANGE`.

    Raises:
        UsageError: It is not of this form.
        UnknownName: Nothing has this metric.
    """
    name, _, number = text.rpartition("=")
    try:
        change = float(number)
        if not name or not math.isfinite(change):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--fail-below {text}: write METRIC=CHANGE, such as NSS=-0.02, which allows NSS to "
            "fall by 0.02"
        ) from None
    spelled = {metric.casefold(): metric for metric in metrics}
    if name.casefold() not in spelled:
        raise UnknownName("metric", name, metrics)
    return Limit(spelled[name.casefold()], change)


def broken(limits: Sequence[Limit], found: Pair) -> Iterator[str]:
    """A line for each limit that the second report does not keep, in the published average.

    A change counts as a gain: of a metric that is better when it is lower, a fall.
    """
    for limit in limits:
        one = next(iter(found.gains[limit.metric].values()))
        gain = one.mean if found.higher_is_better[limit.metric] else -one.mean
        if not gain >= limit.change:  # an undefined one keeps no limit
            yield (
                f"{found.names[1]}: {limit.metric} is better by {gain:+.4f} than that of "
                f"{found.names[0]}, at least {limit.change:+.4f} is wanted"
            )


def _ways(document: Mapping[str, Any]) -> list[str]:
    """How the report averages, the published way first."""
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
