"""Score files as the code of the models wrote them, for scripts that read these."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from salcli.checkpoint import write_atomically

__all__ = ["unisal_files", "unisal_source", "write_original"]

UNISAL_METRICS = ("KLD", "NSS", "CC", "SIM", "AUC-Judd", "s-AUC")
"""Order of the columns, which the files do not name."""

UNISAL_SOURCES = {
    "dhf1k": "DHF1K",
    "hollywood2": "Hollywood_resized",
    "mit1003": "MIT1003",
    "salicon": "SALICON",
    "ucfsports": "UCFSports_resized",
}
"""What its code calls the datasets in file names."""


def write_original(folder: Path, document: Mapping[str, Any]) -> None:
    """The files that belong to the protocol, if it is that of a model's code.

    Raises:
        OutputError: The folder cannot be written.
    """
    name = document["protocol"]["name"]
    if name == "unisal":
        for file, content in unisal_files(document).items():
            write_atomically(folder / file, json.dumps(content, indent=2).encode())
    if name in ("salema", "salema-area"):
        write_salema(folder, document)


def write_salema(folder: Path, document: Mapping[str, Any]) -> None:
    """`metrics.npy`: float64 `[videos, metrics]`, NaN where undefined, in the report's order.

    Raises:
        OutputError: The folder cannot be written.
    """
    rows = [[video["means"][name] for name in document["scores"]] for video in document["videos"]]
    content = io.BytesIO()
    np.save(content, np.array(rows, np.float64))
    write_atomically(folder / "metrics.npy", content.getvalue())


def unisal_source(document: Mapping[str, Any]) -> str | None:
    """What UNISAL's code calls the scored data; a folder of one's own has its own name."""
    name: str = document["dataset"]["name"]
    groups = {video["group"] for video in document["videos"]}
    if name == "folder" and len(groups) == 1:
        return str(groups.pop())
    return UNISAL_SOURCES.get(name)


def unisal_files(document: Mapping[str, Any]) -> dict[str, Any]:
    """`DHF1K_eval_scores.json` per clip, and the means over clips and over frames: their content.

    Only where all six metrics were computed, and for data that UNISAL's code can name.
    """
    source = unisal_source(document)
    if source is None or not set(UNISAL_METRICS) <= document["scores"].keys():
        return {}
    videos = [[video["means"][name] for name in UNISAL_METRICS] for video in document["videos"]]
    files: dict[str, Any] = {f"{source}_eval_scores.json": videos}
    for name, way in (("mean", "videos"), ("weighted_mean", "frames")):
        scores = [document["scores"][metric] for metric in UNISAL_METRICS]
        means = [found.get(way, found.get("images"))["mean"] for found in scores]
        files[f"{source}_eval_{name}_scores.json"] = means
    return files
