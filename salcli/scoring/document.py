"""What a score report states: all that tells its numbers from others of the same names."""

from __future__ import annotations

import json
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
from salcli.scoring.references import Fit
from salcli.scoring.results import Results
from salcli.scoring.selection import Selection
from salcli.scoring.sources import MapSource
from salcli.scoring.truths import GroundTruthReader

__all__ = ["FORMAT", "Report", "versions"]

FORMAT = "salcli-scores"
VERSION = 1

ROUNDED = "8-bit"
"""Name of the probe that is no baseline."""


@dataclass(frozen=True)
class Report:
    """Everything that a document is made of.

    Attributes:
        source: Where the maps came from.
        agenda: Which frames were to be scored.
        truths: What observers did.
        scorer: How it was measured.
        outcome: The values.
        fit: The priors of the baselines.
        left_out: Metrics of the protocol that were not computed, and why.
        seconds: How long it took.
    """

    source: MapSource
    agenda: Selection
    truths: GroundTruthReader
    scorer: Scorer
    outcome: Evaluation
    fit: Fit
    left_out: Mapping[str, str]
    seconds: float

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        outcome, seed = self.outcome, self.scorer.seed
        notes = [*outcome.odd, *self.source.notes, *outcome.notes]
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": self.source.label,
            "predictions": {
                **self.source.statement(),
                "sizes": dict(outcome.sizes),
                "rounding to 8 bit": self._rounding(),
            },
            "dataset": self._dataset(),
            "ground truth": {
                "density": dict(outcome.densities),
                "fixations outside their frame": outcome.outside,
                **self.truths.statement(),
            },
            "protocol": {**self.scorer.statement(), "left out": dict(self.left_out)},
            "bootstrap": {
                "level": bootstrap.LEVEL,
                "draws": bootstrap.DRAWS,
                "over": "videos" if self.agenda.has_clips else "images",
                "seed": seed,
            },
            "scores": self._scores(outcome.ledger),
            "groups": self._groups(),
            "baselines": {
                "priors": self.fit.statement(),
                **{
                    name: self._baseline(*ledgers)
                    for name, ledgers in outcome.probes.items()
                    if name != ROUNDED
                },
            },
            "skipped": outcome.skipped.document(),
            "notes": [dict(vars(incident)) for incident in notes],
            "videos": self._videos(),
            "versions": versions(self.source, self.scorer),
            "seconds": round(self.seconds, 3),
        }

    @property
    def averagings(self) -> dict[str, Averaging]:
        """Ways of averaging by what they are called, the published one first."""
        if not self.agenda.has_clips:
            return {"images": "frames"}
        published = self.scorer.protocol.averaging
        others = (way for way in ("frames", "videos") if way not in published)
        return {way: cast(Averaging, way) for way in (*published, *others)}

    def _dataset(self) -> dict[str, Any]:
        agenda = self.agenda
        scored = self.outcome.ledger
        return {
            "name": agenda.dataset.name,
            "edition": agenda.dataset.edition,
            "split": agenda.split,
            "recordings": len(agenda.recordings) + len(agenda.problems),
            "recordings scored": len(scored.numbers),
            "frames": sum(agenda.counts),
            "frames chosen": agenda.total,
            "frames scored": scored.frames,
            "sha256 of the names of the frames chosen": agenda.digest(),
            "problems": list(agenda.missing),
        }

    def _scores(self, ledger: Results) -> dict[str, Any]:
        sums, counts = ledger.sums()
        found: dict[str, dict[str, Any]] = {name: {} for name in ledger.metrics}
        for called, averaging in self.averagings.items():
            intervals = bootstrap.interval(sums, counts, averaging, seed=self.scorer.seed)
            for name, one in zip(ledger.metrics, intervals, strict=True):
                found[name][called] = one.document()
        for each in self.scorer.measures:
            found[each.spec.name]["undefined"] = ledger.undefined(each.spec.name)
            found[each.spec.name]["higher is better"] = each.spec.higher_is_better
        return found

    def _baseline(self, ledger: Results, own: Results) -> dict[str, Any]:
        called = next(iter(self.averagings))
        means = bootstrap.averages(*own.sums(), self.averagings[called])
        scores = self._scores(ledger)
        return {
            "frames": ledger.frames,
            "averaged over": called,
            "scores": {name: found[called] for name, found in scores.items()},
            "the model on these frames": {
                name: _number(mean) for name, mean in zip(own.metrics, means, strict=True)
            },
        }

    def _rounding(self) -> dict[str, Any]:
        """What 8 bit changes: by mean and by largest difference of a frame."""
        rule = {"rule": self.source.rounding}
        if self.scorer.protocol.preparation.bits == 8:
            return {**rule, "note": "the protocol scores 8-bit maps: stored as PNG nothing changes"}
        if ROUNDED not in self.outcome.probes:
            return {**rule, "note": "not measured: the maps are what they are"}
        rounded, own = self.outcome.probes[ROUNDED]
        change = {}
        for name in own.metrics:
            with np.errstate(invalid="ignore"):  # of two infinite values
                differences = [rounded.values(n, name) - own.values(n, name) for n in own.numbers]
            together = np.concatenate([np.empty(0), *differences])
            defined = together[np.isfinite(together)]
            change[name] = {
                "mean": _number(defined.mean()) if defined.size else None,
                "largest": _number(np.abs(defined).max()) if defined.size else None,
            }
        return {**rule, "frames": own.frames, "change": change}

    def _groups(self) -> dict[str, Any]:
        """Means per group of recordings, where there are several."""
        sums, counts = self.outcome.ledger.sums()
        rows = defaultdict[str, list[int]](list)
        for row, number in enumerate(self.outcome.ledger.numbers):
            rows[self.agenda.recordings[number].group].append(row)
        if len(rows) < 2:
            return {}
        return {
            group: {
                called: dict(
                    zip(
                        self.outcome.ledger.metrics,
                        map(_number, bootstrap.averages(sums[own], counts[own], averaging)),
                        strict=True,
                    )
                )
                for called, averaging in self.averagings.items()
            }
            for group, own in rows.items()
        }

    def _videos(self) -> list[dict[str, Any]]:
        ledger = self.outcome.ledger
        sums, counts = ledger.sums()
        videos = []
        for row, number in enumerate(ledger.numbers):
            means = bootstrap.averages(sums[[row]], counts[[row]], "frames")
            videos.append(
                {
                    "name": self.agenda.recordings[number].name,
                    "group": self.agenda.recordings[number].group,
                    "frames": len(ledger.positions(number)),
                    "means": dict(zip(ledger.metrics, map(_number, means), strict=True)),
                    "defined": dict(
                        zip(ledger.metrics, counts[row].astype(int).tolist(), strict=True)
                    ),
                }
            )
        return videos


def versions(source: MapSource, scorer: Scorer) -> dict[str, str]:
    """Of what the numbers depend on."""
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


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


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
