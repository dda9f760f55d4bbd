"""A report for people: the table of its scores, and a short summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["markdown", "summary", "table"]


def table(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of the scores: a row for each metric, baselines on the right."""
    scores: Mapping[str, Any] = document["scores"]
    baselines = {name: found for name, found in document["baselines"].items() if "scores" in found}
    ways = [
        key
        for key in next(iter(scores.values()), {})
        if key not in ("undefined", "higher is better")
    ]
    chosen = document["dataset"]["frames scored"]
    titles = ["metric", *(f"mean over {way} [95 %]" for way in ways)]
    for name, found in baselines.items():
        titles.append(name if found["frames"] == chosen else f"{name} ({found['frames']})")
    titles.append("undefined")
    rows = []
    for metric, found in scores.items():
        better = "" if found["higher is better"] else " (lower is better)"
        cells = [metric + better, *(_cell(found[way]) for way in ways)]
        cells += [_plain(each["scores"][metric]["mean"]) for each in baselines.values()]
        rows.append([*cells, str(found["undefined"])])
    return titles, rows


def markdown(document: Mapping[str, Any]) -> str:
    """The scores as a Markdown table, with the summary below."""
    titles, rows = table(document)
    lines = [f"# {document['name']}", "", *_markdown_table(titles, rows), ""]
    return "\n".join([*lines, *(f"- {line}" for line in summary(document)), ""])


def summary(document: Mapping[str, Any]) -> list[str]:
    """What was scored and how, in a few lines."""
    data, protocol = document["dataset"], document["protocol"]
    edition = f", edition {data['edition']}" if data["edition"] else ""
    skipped = sum(max(1, each["frames"]) for each in document["skipped"])
    lines = [
        f"{data['name']}{edition}, split {data['split']}: {data['frames scored']} of "
        f"{data['frames chosen']} frames of {data['recordings scored']} recordings",
        f"protocol {protocol['name']}, version {protocol['version']}: {protocol['summary']}; seed "
        f"{protocol['seed']}",
    ]
    left_out: Mapping[str, str] = protocol["left out"]
    for reason in dict.fromkeys(left_out.values()):
        names = [name for name, found in left_out.items() if found == reason]
        lines.append(f"without {', '.join(names)}: {reason}")
    origins: Mapping[str, int] = document["ground truth"]["density"]
    if len(origins) > 1:
        lines.append(f"density maps: {', '.join(f'{n} {name}' for name, n in origins.items())}")
    frames = [found["frames"] for found in document["baselines"].values() if "scores" in found]
    if frames:
        lines.append(f"centre and mean-map: {document['baselines']['priors']['note']}")
    if any(count != data["frames scored"] for count in frames):
        lines.append("a baseline with a number in brackets is over so many random frames")
    change = document["predictions"]["rounding to 8 bit"].get("change")
    if change:
        largest = ", ".join(f"{name} {_change(found)}" for name, found in change.items())
        lines.append(f"maps rounded to 8 bit change the means by: {largest}")
    spread = {
        name: found["of the mean"]
        for name, found in document["random spread"].items()
        if found["of the mean"]
    }
    if spread:
        listed = ", ".join(f"{name} {value:.1e}" for name, value in spread.items())
        lines.append(f"other random numbers move the means by about: {listed}")
    lines += [f"warning: {line}" for line in document["warnings"]]
    if skipped:
        lines.append(f"{skipped} frames or recordings skipped; the reasons are in scores.json")
    return lines


def _change(found: Mapping[str, Any]) -> str:
    return "-" if found["mean"] is None else f"{found['mean']:+.1e}"


def _markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [titles, ["---"] * len(titles), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(one: Mapping[str, Any]) -> str:
    if one["mean"] is None:
        return "-"
    if one["low"] is None:
        return _plain(one["mean"])
    return f"{one['mean']:.4f} [{one['low']:.4f}, {one['high']:.4f}]"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
