"""Writes a report: the template, its style and script, and the data in one HTML file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from salcli._version import __version__
from salcli.files import atomic
from salcli.report import room, summary
from salcli.report.tiles import palette

if TYPE_CHECKING:
    from salcli.models.loading import Loaded
    from salcli.report.records import Record

__all__ = ["Cover", "write"]


@dataclass(frozen=True)
class Cover:
    """What stands above everything else.

    Attributes:
        title: Of the page.
        client: For whom it is.
        note: A few lines.
        logo: A picture as a `data:` URL.
    """

    title: str
    client: str = ""
    note: str = ""
    logo: str = ""

    def document(self) -> str:
        """As HTML; empty if there is nothing but the title."""
        if not (self.client or self.note or self.logo):
            return ""
        parts = [
            self.logo and f'<img src="{html.escape(self.logo)}" alt="">',
            f"<h1>{html.escape(self.title)}</h1>",
            self.client and f'<p class="client">For {html.escape(self.client)}</p>',
            self.note and f"<p>{html.escape(self.note)}</p>",
        ]
        return '<section id="cover">' + "\n".join(filter(None, parts)) + "</section>"


def write(
    path: Path,
    entries: Sequence[dict[str, Any]],
    models: Sequence[Loaded],
    *,
    cover: Cover,
    records: Sequence[Record] = (),
) -> None:
    """Write the page of at least one entry or record, atomically; shrinks pictures of many.

    Raises:
        OutputError: It cannot be written.
    """
    room.fit(entries)
    labels = [loaded.label for loaded in models]
    shown = {model["name"] for entry in entries for model in entry["models"]}
    # the models in their order, then the observers, if any entry has a ground truth
    names = [*labels, *sorted(shown - set(labels))]
    data = {"entries": entries, "models": names, **palette()}
    script = _part("script.js")
    # nothing depends on the time, so that equal inputs give equal bytes
    page = Template(_part("template.html")).substitute(
        title=html.escape(cover.title),
        cover=cover.document(),
        summary=_summary(entries, records),
        records="\n".join(record.section for record in records),
        style=_part("style.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        models="\n".join(map(_row, models)),
        made=f"Made by salcli {__version__}. Maps are predictions of models, not measurements.",
        # "</script>" inside a text would end the element, and "<!--<script>" would hide its end
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )
    atomic.write(path, page)


def _summary(entries: Sequence[dict[str, Any]], records: Sequence[Record]) -> str:
    told = [sentence for record in records for sentence in record.sentences]
    told += summary.sentences(entries)
    said = "".join(f"<li>{sentence}</li>" for sentence in told)
    parts = (said and f"<ul>{said}</ul>", summary.table(entries))
    if not any(parts):
        return ""
    return f'<section id="summary"><h2>In short</h2>{"".join(parts)}</section>'


def _part(name: str) -> str:
    return (files("salcli.report") / name).read_text("utf-8")


def _row(loaded: Loaded) -> str:
    spec, row = loaded.model.spec, loaded.row
    weights = row.tag if row else loaded.path.name if loaded.path else "none needed"
    if loaded.digest:
        weights += f" (sha256 {loaded.digest[:12]}...)"
    licence = "; ".join(dict.fromkeys(filter(None, (spec.licence, row.licence if row else ""))))
    what = f"{spec.summary}; {loaded.known_limits}" if loaded.known_limits else spec.summary
    cells = [html.escape(text) for text in (loaded.label, what, weights, licence)]
    paper = html.escape(spec.paper)
    if spec.citation:
        paper += (
            f"<details><summary>BibTeX</summary><pre>{html.escape(spec.citation)}</pre></details>"
        )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in (*cells, paper)) + "</tr>"
