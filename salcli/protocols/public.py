"""The public protocols: two benchmarks of images, one of videos, and a challenge."""

from __future__ import annotations

from salcli.protocols.description import Negatives, Preparation, Protocol, Variant

__all__ = ["DHF1K", "MIT", "NTIRE", "PUBLIC", "TUEBINGEN"]

SAMPLED = "salcli.metrics:shuffled_auc_sampled"

JITTER = {"ties": "listed", "jitter": 1e-7}
"""AUC-Judd as MIT computes it: every fixation is a threshold, and noise breaks ties."""

EPS = 2.0**-52
"""MATLAB's `eps`."""

EIGHT_BIT_BICUBIC = Preparation("bicubic", bits=8)

MIT = Protocol(
    name="mit",
    version="1",
    summary="MIT saliency benchmark, MATLAB code",
    source="https://github.com/cvzoya/saliency (code_forMetrics)",
    preparation=EIGHT_BIT_BICUBIC,
    variants=(
        Variant("AUC-Judd", JITTER),
        Variant("SIM", {"stretch": True}),
        Variant("AUC-Borji"),
        Variant("s-AUC", function=SAMPLED),
        Variant("CC"),
        Variant("NSS", {"ddof": 1}),
        Variant("KLD", {"epsilon": EPS}),
        Variant("IG", {"stretch": True, "epsilon": EPS, "repeats": False}, published=False),
    ),
    negatives=Negatives(10),
    averaging=("frames",),
)

DHF1K = Protocol(
    name="dhf1k",
    version="1",
    summary="DHF1K, Hollywood-2 and UCF-Sports as in the DHF1K benchmark, MATLAB code",
    source="https://github.com/wenguanwang/DHF1K (code_for_Metrics.zip)",
    preparation=EIGHT_BIT_BICUBIC,
    variants=(
        Variant("AUC-Judd", JITTER),
        Variant("SIM", {"stretch": True}),
        Variant("s-AUC", function=SAMPLED),
        Variant("CC"),
        Variant("NSS", {"ddof": 1}),
        Variant("KLD", {"epsilon": EPS}, published=False),
        Variant("AUC-Borji", published=False),
        Variant("IG", {"stretch": True, "epsilon": EPS, "repeats": False}, published=False),
    ),
    negatives=Negatives(10, own=True),
    limit=50_000,
)

TUEBINGEN = Protocol(
    name="tuebingen",
    version="1",
    summary="MIT/Tuebingen saliency benchmark: exact, all fixations count",
    source="https://github.com/matthias-k/saliency-benchmarking 6d80c2d, pysaliency",
    preparation=Preparation("fit"),
    variants=(
        Variant("IG", {"repeats": True}, note="meaningful only for maps that are densities"),
        Variant("AUC", {"repeats": True}),
        Variant("s-AUC", {"repeats": True}),
        Variant("NSS", {"ddof": 0, "repeats": True, "constant": 0.0}),
        Variant("CC", {"constant": 0.0}),
        Variant("KLD", {"epsilon": EPS}),
        Variant("SIM"),
    ),
    negatives=Negatives(None, repeats=True),
    averaging=("frames",),
)

NTIRE = Protocol(
    name="ntire",
    version="1",
    summary="NTIRE 2026 video saliency challenge (AViMoS)",
    source="https://github.com/msu-video-group/NTIRE26_Saliency_Prediction (bench.py, b67a008)",
    preparation=Preparation("bilinear", bits=8, stretch=True),
    variants=(
        Variant("SIM", {"epsilon": 1e-7}),
        Variant("NSS", {"ddof": 0, "epsilon": 1e-7, "repeats": True, "constant": 0.0}),
        Variant("CC", {"epsilon": 1e-7, "constant": 0.0}),
        Variant(
            "AUC-Judd",
            {"ties": "listed", "repeats": True, "positives": 2},
            note="its denominator H W - 2 is that of the published code, whatever was fixated",
        ),
        Variant("KLD", {"epsilon": EPS}, published=False),
    ),
    averaging=("videos", "frames"),
)

PUBLIC = (MIT, DHF1K, TUEBINGEN, NTIRE)
"""All of them; together they vary every metric of the core."""
