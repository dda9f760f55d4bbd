"""Scores as UNISAL's code computes them, and the files that it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from salcli.authoring import Negatives, Preparation, Protocol, Variant

__all__ = ["METRICS", "UNISAL", "content", "data_name", "files"]

METRICS = ("KLD", "NSS", "CC", "SIM", "AUC-Judd", "s-AUC")
"""Order of the columns, which have no names in the files."""

DATA_NAMES = {
    "dhf1k": "DHF1K",
    "hollywood2": "Hollywood_resized",
    "mit1003": "MIT1003",
    "salicon": "SALICON",
    "ucfsports": "UCFSports_resized",
}
"""Names of the datasets in the names of the files."""

UNISAL = Protocol(
    name="unisal",
    version="1",
    summary="as UNISAL's code scores",
    source="https://github.com/rdroste/unisal",
    preparation=Preparation("bilinear"),
    variants=(
        Variant("KLD", {"epsilon": 0.0}),
        Variant("NSS", {"ddof": 1}),
        Variant("CC"),
        Variant("SIM"),
        Variant("AUC-Judd", {"decimals": 4}, share=0.5),
        Variant(
            "s-AUC",
            {"limit": "excluded"},
            function="salcli.metrics:shuffled_auc_sampled",
            share=0.5,
        ),
    ),
    negatives=Negatives(10, one_per_video=True),
    averaging=("videos", "frames"),
    files="salcli_unisal.protocol:files",
)


def data_name(document: Mapping[str, Any]) -> str | None:
    """UNISAL's name of the scored data, if it has one; a user's folder keeps its own."""
    name: str = document["dataset"]["name"]
    groups = {video["group"] for video in document["videos"]}
    if name == "folder" and len(groups) == 1:
        return str(groups.pop())
    return DATA_NAMES.get(name)


def content(document: Mapping[str, Any]) -> dict[str, Any]:
    """Scores per clip and their means over clips and over frames, by file name.

    Empty unless all six metrics were computed, on data that UNISAL's code has a name for.
    """
    data = data_name(document)
    if data is None or not set(METRICS) <= document["scores"].keys():
        return {}
    videos = [[video["means"][name] for name in METRICS] for video in document["videos"]]
    found: dict[str, Any] = {f"{data}_eval_scores.json": videos}
    for name, way in (("mean", "videos"), ("weighted_mean", "frames")):
        scores = [document["scores"][metric] for metric in METRICS]
        means = [each.get(way, each.get("images"))["mean"] for each in scores]
        found[f"{data}_eval_{name}_scores.json"] = means
    return found


def files(document: Mapping[str, Any]) -> dict[str, bytes]:
    """`content` as JSON."""
    return {name: json.dumps(each, indent=2).encode() for name, each in content(document).items()}
