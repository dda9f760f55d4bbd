"""The document of a score report: everything that distinguishes its numbers from other scores."""

from __future__ import annotations

import json
import math
import platform
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from salcli._version import __version__
from salcli.plugins import registry
from salcli.protocols.scorer import Scorer
from salcli.scoring import bootstrap
from salcli.scoring.bootstrap import Averaging
from salcli.scoring.evaluate import Evaluation
from salcli.scoring.frametruth import GroundTruthReader
from salcli.scoring.references import FittedPriors
from salcli.scoring.results import Results
from salcli.scoring.seen import Seen
from salcli.scoring.selection import Selection
from salcli.scoring.sources import MapSource

__all__ = ["FORMAT", "Report", "differences", "versions"]

FORMAT = "salcli-scores"
VERSION = 1

ROUNDED = "8-bit"
REDRAWN = "redrawn"
"""Names of the references that are no baselines."""


@dataclass(frozen=True)
class Report:
    """Everything that a document is made of.

    Attributes:
        source: Where the maps came from.
        selection: The frames that were to be scored.
        reader: Read the ground truth.
        scorer: Computed the metrics.
        evaluation: The scores.
        priors: The priors of the baselines.
        left_out: Metrics of the protocol that were not computed, and why.
        seconds: How long it took.
        seen: What the weights know of the frames.
    """

    source: MapSource
    selection: Selection
    reader: GroundTruthReader
    scorer: Scorer
    evaluation: Evaluation
    priors: FittedPriors
    left_out: Mapping[str, str]
    seconds: float
    seen: Seen

    def document(self) -> dict[str, Any]:
        """The content of `scores.json`."""
        evaluation = self.evaluation
        notes = [*evaluation.odd, *self.source.notes, *evaluation.notes]
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": self.source.label,
            "predictions": {
                **self.source.statement(),
                "sizes": dict(evaluation.sizes),
                "rounding to 8 bit": self._rounding(),
            },
            "dataset": self._dataset(),
            "training data": self.seen.document(),
            "warnings": self.seen.warnings(self.selection.dataset.name),
            "ground truth": {
                "density": dict(evaluation.densities),
                "fixations outside their frame": evaluation.outside,
                **self.reader.statement(),
            },
            "protocol": {**self.scorer.statement(), "left out": dict(self.left_out)},
            "bootstrap": {
                "level": bootstrap.LEVEL,
                "draws": bootstrap.DRAWS,
                "over": "videos" if self.selection.has_clips else "images",
                "seed": self.scorer.seed,
            },
            "scores": self._scores(evaluation.results),
            "random spread": self._spread(),
            "groups": self._groups(),
            "baselines": self._baselines(),
            "skipped": evaluation.skipped.document(),
            "notes": [dict(vars(note)) for note in notes],
            "videos": self._videos(),
            "versions": versions(self.source, self.scorer),
            "seconds": round(self.seconds, 3),
        }

    @property
    def averagings(self) -> dict[str, Averaging]:
        """Ways of averaging by their names in the report, the published one first."""
        if not self.selection.has_clips:
            return {"images": "frames"}
        published = self.scorer.protocol.averaging
        others = (way for way in ("frames", "videos") if way not in published)
        return {way: cast(Averaging, way) for way in (*published, *others)}

    def _dataset(self) -> dict[str, Any]:
        selection, results = self.selection, self.evaluation.results
        return {
            "name": selection.dataset.name,
            "edition": selection.dataset.edition,
            "split": selection.split,
            "recordings": len(selection.recordings) + len(selection.problems),
            "recordings scored": len(results.numbers),
            "frames": sum(selection.counts),
            "frames chosen": selection.total,
            "frames scored": results.frames,
            "sha256 of the names of the frames chosen": selection.digest(),
            "problems": list(selection.missing),
        }

    def _scores(self, results: Results) -> dict[str, Any]:
        sums, counts = results.sums()
        scores: dict[str, dict[str, Any]] = {name: {} for name in results.metrics}
        for way, averaging in self.averagings.items():
            intervals = bootstrap.interval(sums, counts, averaging, seed=self.scorer.seed)
            for name, one in zip(results.metrics, intervals, strict=True):
                scores[name][way] = one.document()
        for each in self.scorer.measures:
            scores[each.spec.name]["undefined"] = results.undefined(each.spec.name)
            scores[each.spec.name]["higher is better"] = each.spec.higher_is_better
        return scores

    def _baselines(self) -> dict[str, Any]:
        measured = {
            name: self._baseline(*pair)
            for name, pair in self.evaluation.references.items()
            if name not in (ROUNDED, REDRAWN)
        }
        return {"priors": self.priors.statement(), **measured}

    def _baseline(self, results: Results, own: Results) -> dict[str, Any]:
        way = next(iter(self.averagings))
        means = bootstrap.averages(*own.sums(), self.averagings[way])
        return {
            "frames": results.frames,
            "averaged over": way,
            "scores": {name: found[way] for name, found in self._scores(results).items()},
            "the model on these frames": _by_metric(own, means),
        }

    def _rounding(self) -> dict[str, Any]:
        """The effect of rounding to 8 bit: mean and largest difference of a frame."""
        rule = {"rule": self.source.rounding}
        if self.scorer.protocol.preparation.bits == 8:
            return {**rule, "note": "the protocol scores 8-bit maps: stored as PNG nothing changes"}
        if ROUNDED not in self.evaluation.references:
            return {**rule, "note": "not measured: the maps are what they are"}
        rounded, own = self.evaluation.references[ROUNDED]
        change = {name: _change(rounded, own, name) for name in own.metrics}
        return {**rule, "frames": own.frames, "change": change}

    def _spread(self) -> dict[str, Any]:
        """How far other random numbers move a metric: two draws of a frame differ by so much."""
        if REDRAWN not in self.evaluation.references:
            return {}
        redrawn, own = self.evaluation.references[REDRAWN]
        found = {}
        for each in self.scorer.drawing:
            changes = _changes(redrawn, own, each.spec.name)
            spread = np.sqrt(np.mean(changes**2) / 2) if changes.size else math.nan
            found[each.spec.name] = {
                "of a frame": _number(spread),
                "of the mean": _number(spread * np.sqrt(self._draws(each.spec.name))),
                "frames": int(changes.size),
            }
        return found

    def _draws(self, metric: str) -> float:
        """Variance of the published mean of a metric, if draws are independent and have 1."""
        results, rule = self.evaluation.results, self.scorer.protocol.negatives
        counts = results.sums()[1][:, results.metrics.index(metric)]
        counts = counts[counts > 0]
        if not counts.size:
            return math.nan
        shared = rule is not None and rule.redrawn == "video"  # by all frames of a video
        of_video = np.ones_like(counts) if shared else 1 / counts
        by_video = next(iter(self.averagings.values())) == "videos"
        shares = 1 / counts.size if by_video else counts / counts.sum()
        return float((shares**2 * of_video).sum())

    def _groups(self) -> dict[str, Any]:
        """Means per group of recordings, if there are several groups."""
        results = self.evaluation.results
        sums, counts = results.sums()
        rows = defaultdict[str, list[int]](list)
        for row, number in enumerate(results.numbers):
            rows[self.selection.recordings[number].group].append(row)
        if len(rows) < 2:
            return {}
        return {
            group: {
                way: _by_metric(results, bootstrap.averages(sums[own], counts[own], averaging))
                for way, averaging in self.averagings.items()
            }
            for group, own in rows.items()
        }

    def _videos(self) -> list[dict[str, Any]]:
        results = self.evaluation.results
        sums, counts = results.sums()
        videos = []
        for row, number in enumerate(results.numbers):
            recording = self.selection.recordings[number]
            means = bootstrap.averages(sums[[row]], counts[[row]], "frames")
            defined = counts[row].astype(int).tolist()
            videos.append(
                {
                    "name": recording.name,
                    "group": recording.group,
                    "frames": len(results.positions(number)),
                    "means": _by_metric(results, means),
                    "defined": dict(zip(results.metrics, defined, strict=True)),
                }
            )
        return videos


def versions(source: MapSource, scorer: Scorer) -> dict[str, str]:
    """Versions of everything that the numbers depend on."""
    statement = source.statement()
    found = {"salcli": __version__}
    if statement["kind"] == "model":
        plugin = registry.provider(statement["name"])
        found[plugin.distribution] = plugin.version
    return {
        **found,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "metrics on": str(scorer.device or "cpu"),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ, nested ones with dots."""
    now = json.loads(json.dumps(now))
    found = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{key}.{name}" for name in differences(old, new)]
        elif old != new:
            found.append(key)
    return found


def _by_metric(results: Results, means: bootstrap.Floats) -> dict[str, float | None]:
    return dict(zip(results.metrics, map(_number, means), strict=True))


def _change(rounded: Results, own: Results, name: str) -> dict[str, float | None]:
    defined = _changes(rounded, own, name)
    return {
        "mean": _number(defined.mean()) if defined.size else None,
        "largest": _number(np.abs(defined).max()) if defined.size else None,
    }


def _changes(other: Results, own: Results, name: str) -> bootstrap.Floats:
    """By how much the values of each frame differ, where both are finite."""
    with np.errstate(invalid="ignore"):  # of two infinite values
        changes = [other.values(n, name) - own.values(n, name) for n in own.numbers]
    together: bootstrap.Floats = np.concatenate([np.empty(0), *changes])
    return together[np.isfinite(together)]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
