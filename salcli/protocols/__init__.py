"""The public protocols, as data: what exactly is computed where two numbers are to be compared.

A protocol says how maps are brought to the ground truth's size, which variant of each metric is
computed, where the negatives of s-AUC come from, and how values are averaged. `measure.py` carries
it out.
"""

from __future__ import annotations

from collections.abc import Mapping

from salcli.errors import UnknownName
from salcli.protocols.description import Negatives, Preparation, Protocol, Variant
from salcli.protocols.originals import SALEMA, SALEMA_AREA, TEMPSAL, UNISAL
from salcli.protocols.public import DHF1K, MIT, NTIRE, TUEBINGEN

__all__ = ["PROTOCOLS", "Negatives", "Preparation", "Protocol", "Variant", "protocol"]

PROTOCOLS: Mapping[str, Protocol] = {
    each.name: each for each in (MIT, DHF1K, TUEBINGEN, NTIRE, UNISAL, SALEMA, SALEMA_AREA, TEMPSAL)
}
"""All of them by name: the four public ones first."""


def protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        UnknownName: There is none.
    """
    if name not in PROTOCOLS:
        raise UnknownName("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
