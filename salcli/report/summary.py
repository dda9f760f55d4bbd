"""What a report says first: sentences for readers who know no metrics, and one table of areas."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from salcli.areas.attention import ranks

__all__ = ["cells", "sentences", "strong", "table"]

FEW = 3
"""Up to so many entries have sentences of their own; of more only means are told."""

MOST_ROWS = 60

SLIGHT = 0.0005
"""Changes of a share below this are none."""

EVEN = (0.85, 1.15)
"""Lifts between these are about what the size of an area alone would give."""


@dataclass(frozen=True)
class _Row:
    """What an area gets on an entry by the first model; `before` on its earlier version."""

    entry: str
    area: str
    share: float
    lift: float | None
    before: float | None = None

    @property
    def change(self) -> float:
        return self.share - (self.share if self.before is None else self.before)


def sentences(entries: Sequence[dict[str, Any]]) -> list[str]:
    """The answer in words, each as HTML."""
    rows = list(_rows(entries))
    if any(row.before is not None for row in rows):
        changed = sorted(rows, key=lambda row: abs(row.change), reverse=True)
        return [_change(row) for row in changed]
    if len(entries) <= FEW:
        return [text for entry in entries for text in _entry(entry)]
    if rows:
        names = dict.fromkeys(row.area for row in rows)
        return [_over_all([row for row in rows if row.area == name]) for name in names]
    held = [entry["models"][0]["held"] for entry in entries if "held" in entry["models"][0]]
    return (
        [f"On average, half of all attention lies within {mean(held):.0%} of a picture."]
        if held
        else []
    )


def _rows(entries: Sequence[dict[str, Any]]) -> Iterator[_Row]:
    for entry in entries:
        earlier = (entry.get("before") or {"models": [{"areas": {}}]})["models"][0]["areas"]
        for name, (share, lift) in entry["models"][0]["areas"].items():
            yield _Row(entry["name"], name, share, lift, earlier.get(name, (None,))[0])


def strong(text: str) -> str:
    """A text that stands out, as HTML."""
    return f"<strong>{html.escape(text)}</strong>"


def _change(row: _Row) -> str:
    assert row.before is not None
    if abs(row.change) < SLIGHT:
        return f"{strong(row.area)} gets as much attention as before: {row.share:.1%}."
    what = "gains" if row.change > 0 else "loses"
    return (
        f"{strong(row.area)} {what} {abs(100 * row.change):.1f} points: it gets {row.share:.1%} "
        f"of attention, and got {row.before:.1%} before."
    )


def _size(lift: float | None) -> str:
    if lift is None:
        return ""
    if lift > EVEN[1]:
        return f", {lift:.1f} times what its size alone would give it"
    about = "less than" if lift < EVEN[0] else "about"
    return f", {about} what its size alone would give it"


def _entry(entry: dict[str, Any]) -> Iterator[str]:
    """Sentences about one picture or clip."""
    model, name = entry["models"][0], strong(entry["name"])
    ranked = sorted(model["areas"].items(), key=lambda each: -each[1][0])
    if ranked:
        (first, (share, lift)), *rest = ranked
        others = ", ".join(f"{strong(area)} with {got:.1%}" for area, (got, _) in rest)
        text = f"On {name}, {strong(first)} gets {share:.1%} of attention{_size(lift)}"
        yield f"{text}; then {others}." if others else f"{text}."
    elif model.get("peak"):
        place = _place(*model["peak"])
        yield (
            f"On {name}, people most likely look {place} first. Half of all attention lies within "
            f"{model['held']:.0%} of the picture."
        )


def _place(x: float, y: float) -> str:
    """Where a place is, in words; x and y in [0, 1]."""
    column = ("left", "centre", "right")[min(2, int(3 * x))]
    row = ("top", "middle", "bottom")[min(2, int(3 * y))]
    if (row, column) == ("middle", "centre"):
        return "at the middle"
    return f"at the {row} {column}" if row != "middle" else f"at the {column}"


def _over_all(rows: Sequence[_Row]) -> str:
    low, high = min(rows, key=lambda row: row.share), max(rows, key=lambda row: row.share)
    return (
        f"{strong(rows[0].area)} gets {mean(row.share for row in rows):.1%} of attention on "
        f"average: from {low.share:.1%} on {html.escape(low.entry)} to {high.share:.1%} on "
        f"{html.escape(high.entry)}."
    )


def table(entries: Sequence[dict[str, Any]]) -> str:
    """Areas by share, lift and rank, with the shares by further models; empty without areas."""
    rows = list(_rows(entries))
    if not rows or len(rows) > MOST_ROWS:
        return ""
    compares = any(row.before is not None for row in rows)
    others = [model["name"] for model in entries[0]["models"][1:]]
    names = 2 if len(entries) > 1 else 1
    heads = [*(["Picture"] if names == 2 else []), "Area", "Share of attention"]
    heads += ["Before", "Change"] if compares else []
    heads += ["Times its size", "Rank", *(f"Share by {name}" for name in others)]
    lines = [cells(heads, "th", names=names)]
    for entry in entries:
        shares = {name: share for name, (share, _) in entry["models"][0]["areas"].items()}
        places = ranks(shares)
        own = list(_rows([entry]))
        for row in sorted(own, key=lambda row: -row.share):
            texts = [*([row.entry] if names == 2 else []), row.area, f"{row.share:.1%}"]
            if compares:
                before = "" if row.before is None else f"{row.before:.1%}"
                texts += [before, "" if row.before is None else f"{100 * row.change:+.1f} points"]
            texts += ["" if row.lift is None else f"{row.lift:.1f}", str(places[row.area])]
            found = {model["name"]: model["areas"].get(row.area) for model in entry["models"]}
            texts += [f"{found[name][0]:.1%}" if found.get(name) else "" for name in others]
            lines.append(cells(texts, "td", names=names))
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def cells(texts: Sequence[str], kind: str, *, names: int) -> str:
    """A row of a table; the first cells are names, the others numbers."""
    found = (
        f"<{kind}{' class=text' * (place < names)}>{html.escape(text)}</{kind}>"
        for place, text in enumerate(texts)
    )
    return f"<tr>{''.join(found)}</tr>"
