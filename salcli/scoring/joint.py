"""Several reports in one table, as a paper prints it: a row for each model, baselines last."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salcli.errors import UsageError
from salcli.files import atomic

__all__ = ["JointTable", "joined"]

DIGITS = 3
"""Digits behind the point."""

SPECIAL = re.compile(r"([&%$#_{}])|(\\)|(~)|(\^)")
"""Characters that mean something to LaTeX."""

WORDS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True)
class Row:
    """The scores of a model or baseline by metric: mean, and the limits of its interval, if any."""

    name: str
    scores: Mapping[str, tuple[float | None, float | None, float | None]]
    is_model: bool = True


@dataclass(frozen=True)
class JointTable:
    """Reports over the same frames by the same protocol.

    Attributes:
        metrics: In the order of the first report; those that all of them have.
        higher_is_better: By metric.
        rows: Models in the given order, then baselines, observers last.
        caption: What was scored, and how.
    """

    metrics: Sequence[str]
    higher_is_better: Mapping[str, bool]
    rows: Sequence[Row]
    caption: str

    def is_best(self, row: Row, metric: str) -> bool:
        """Whether no model is better, as far as the table shows digits; baselines never are."""
        sign = 1 if self.higher_is_better[metric] else -1
        values = [each.scores[metric][0] for each in self.rows if each.is_model]
        own = row.scores[metric][0]
        if own is None or not row.is_model:
            return False
        best = max(round(sign * value, DIGITS) for value in values if value is not None)
        return round(sign * own, DIGITS) == best

    def titles(self) -> list[str]:
        """Titles of the columns; an arrow says which way is better."""
        arrows = ("\N{DOWNWARDS ARROW}", "\N{UPWARDS ARROW}")
        return ["model", *(f"{m} {arrows[self.higher_is_better[m]]}" for m in self.metrics)]

    def cells(self, row: Row, best: str = "{}") -> list[str]:
        """The cells of a row; `best` is a template for those that are best."""
        found = [row.name]
        for metric in self.metrics:
            value = row.scores[metric][0]
            text = "-" if value is None else f"{value:.{DIGITS}f}"
            found.append(best.format(text) if self.is_best(row, metric) else text)
        return found

    def markdown(self) -> str:
        """A Markdown table, the caption below it."""
        lines = [self.titles(), ["---", *("---:" for _ in self.metrics)]]
        lines += [self.cells(row, "**{}**") for row in self.rows]
        plain = [[cell.replace("|", r"\|") for cell in line] for line in lines]
        return "\n".join([*(f"| {' | '.join(line)} |" for line in plain), "", self.caption, ""])

    def latex(self) -> str:
        r"""A LaTeX table for `\input`; it needs the package booktabs."""
        arrows = (r"$\downarrow$", r"$\uparrow$")
        titles = [
            "Model",
            *(f"{_escaped(m)} {arrows[self.higher_is_better[m]]}" for m in self.metrics),
        ]
        lines = []
        for row, before in zip(self.rows, [None, *self.rows], strict=False):
            if before is not None and before.is_model and not row.is_model:
                lines.append(r"\midrule")
            name, *cells = self.cells(row, r"\textbf{{{}}}")
            lines.append(" & ".join([_escaped(name), *cells]) + r" \\")
        return "\n".join(
            [
                f"% {self.caption}",
                rf"\begin{{tabular}}{{l{'r' * len(self.metrics)}}}",
                r"\toprule",
                " & ".join(titles) + r" \\",
                r"\midrule",
                *lines,
                r"\bottomrule",
                r"\end{tabular}",
                "",
            ]
        )

    def write(self, path: Path) -> None:
        """Write it as Markdown (`.md`) or LaTeX (`.tex`).

        Raises:
            UsageError: The name ends otherwise.
            OutputError: The file cannot be written.
        """
        kinds = {".md": self.markdown, ".tex": self.latex}
        if path.suffix.lower() not in kinds:
            raise UsageError(f"'{path}': a table is Markdown (.md) or LaTeX (.tex)")
        atomic.write(path, kinds[path.suffix.lower()]())


def joined(documents: Sequence[Mapping[str, Any]]) -> JointTable:
    """The table of reports that can be compared; see `compare.check_alike`.

    Args:
        documents: Contents of `scores.json`; the baselines are those of the first that has them.

    Raises:
        UsageError: They have no metric in common.
    """
    scores = [document["scores"] for document in documents]
    metrics = [name for name in scores[0] if all(name in each for each in scores)]
    if not metrics:
        raise UsageError("these reports have no metric in common")
    way = next(iter(scores[0][metrics[0]]))
    rows = [
        Row(document["name"], {m: _interval(each[m][way]) for m in metrics})
        for document, each in zip(documents, scores, strict=True)
    ]
    data, protocol = documents[0]["dataset"], documents[0]["protocol"]
    scored = data["frames scored"]
    for name, found in _baselines(documents):
        more = "" if found["frames"] == scored else f" ({found['frames']} frames)"
        own = {m: _interval(found["scores"].get(m, {"mean": None})) for m in metrics}
        rows.append(Row(name + more, own, is_model=False))
    better = {m: bool(scores[0][m]["higher is better"]) for m in metrics}
    edition = f", {data['edition']}" if data["edition"] else ""
    caption = (
        f"{data['name']}{edition}, {data['split']}: {scored} frames, protocol {protocol['name']}, "
        f"mean over {way}."
    )
    return JointTable(metrics, better, rows, caption)


def _baselines(documents: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """The baselines of the reports, each once, observers last."""
    found: dict[str, Mapping[str, Any]] = {}
    for document in documents:
        for name, each in document["baselines"].items():
            if "scores" in each:
                found.setdefault(name, each)
    return sorted(found.items(), key=lambda item: item[0] == "observers")


def _interval(one: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    return one["mean"], one.get("low"), one.get("high")


def _escaped(text: str) -> str:
    return SPECIAL.sub(lambda found: f"\\{found[1]}" if found[1] else WORDS[found[0]], text)
