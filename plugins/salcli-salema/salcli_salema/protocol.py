"""Scores as SalEMA's code computes them, and the file that it writes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from salcli.authoring import Negatives, Preparation, Protocol, Variant

__all__ = ["SALEMA", "SALEMA_AREA", "files"]

SALEMA = Protocol(
    name="salema",
    version="1",
    summary="as SalEMA's code scores DHF1K",
    source="https://github.com/Linardos/SalEMA (DHF1K script)",
    preparation=Preparation("bilinear", bits=8, halve=True),
    variants=(
        Variant("AUC-Judd", {"ties": "listed", "jitter": 1e-7, "single": True}),
        Variant(
            "s-AUC",
            {"limit": "excluded", "denominator": "fixations"},
            function="salcli.metrics:shuffled_auc_sampled",
        ),
        Variant("NSS", {"ddof": 0}),
        Variant("CC"),
        Variant("SIM", {"stretch": True}),
    ),
    negatives=Negatives(40, one_per_video=True, redrawn="video"),
    averaging=("videos", "frames"),
    files="salcli_salema.protocol:files",
)

SALEMA_AREA = Protocol(
    name="salema-area",
    version="1",
    summary="as SalEMA's code scores Hollywood-2 and UCF-Sports",
    source="https://github.com/Linardos/SalEMA (Hollywood-2 and UCF-Sports script)",
    preparation=Preparation("area", bits=8, halve=True),
    variants=SALEMA.variants,
    negatives=Negatives(10, one_per_video=True, redrawn="video"),
    averaging=SALEMA.averaging,
    files=SALEMA.files,
)


def files(document: Mapping[str, Any]) -> dict[str, bytes]:
    """`metrics.npy`: float64 `[videos, metrics]`, NaN where undefined, in the report's order."""
    rows = [[video["means"][name] for name in document["scores"]] for video in document["videos"]]
    content = io.BytesIO()
    np.save(content, np.array(rows, np.float64))
    return {"metrics.npy": content.getvalue()}
