"""How the code that models were published with scores them."""

from __future__ import annotations

from salcli.protocols.description import Negatives, Preparation, Protocol, Variant
from salcli.protocols.public import EPS, JITTER, SAMPLED

__all__ = ["SALEMA", "SALEMA_AREA", "TEMPSAL", "UNISAL"]

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
        Variant("s-AUC", {"limit": "excluded"}, function=SAMPLED, share=0.5),
    ),
    negatives=Negatives(10, one_per_video=True),
    averaging=("videos", "frames"),
)

SALEMA = Protocol(
    name="salema",
    version="1",
    summary="as SalEMA's code scores DHF1K",
    source="https://github.com/Linardos/SalEMA (DHF1K script)",
    preparation=Preparation("bilinear", bits=8, halve=True),
    variants=(
        Variant("AUC-Judd", {**JITTER, "single": True}),
        Variant("s-AUC", {"limit": "excluded", "denominator": "fixations"}, function=SAMPLED),
        Variant("NSS", {"ddof": 0}),
        Variant("CC"),
        Variant("SIM", {"stretch": True}),
    ),
    negatives=Negatives(40, one_per_video=True, redrawn="video"),
    averaging=("videos", "frames"),
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
)

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
        Variant("AUC-Judd", {**JITTER, "lag": 1}),
    ),
    averaging=("frames",),
)
