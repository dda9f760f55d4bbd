"""Scores as TempSAL's code computes them when it validates."""

from __future__ import annotations

from salcli.authoring import Preparation, Protocol, Variant

__all__ = ["TEMPSAL"]

EPS = 2.0**-52
"""`numpy.spacing(1)`."""

TEMPSAL = Protocol(
    name="tempsal",
    version="1",
    summary="as TempSAL's code validates on SALICON",
    source="https://github.com/IVRL/Tempsal",
    preparation=Preparation("bilinear", density=(256, 256)),
    variants=(
        Variant("CC"),
        Variant("KLD", {"epsilon": EPS}),
        Variant("NSS", {"ddof": 1, "epsilon": EPS}),
        Variant("SIM", {"stretch": True}),
        Variant("AUC-Judd", {"ties": "listed", "jitter": 1e-7, "lag": 1}),
    ),
    averaging=("frames",),
)
