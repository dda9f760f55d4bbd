"""Protocols of scoring, as data: what exactly is computed if two numbers shall be comparable.

A protocol says how maps are brought to the ground truth's size, which variant of each metric is
computed, where the negatives of s-AUC come from, and how values are averaged. The public ones are
in `public.py`; plugins bring those of their papers by the hook `register_protocols`. `scorer.py`
carries a protocol out.
"""

from __future__ import annotations

from salcli.errors import PluginError
from salcli.plugins import registry
from salcli.protocols.description import Negatives, Preparation, Protocol, Variant
from salcli.specs import resolve

__all__ = ["Negatives", "Preparation", "Protocol", "Variant", "protocol"]


def protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        UnknownName: No plugin brings it.
        PluginError: Two plugins register it, or it cannot be imported.
    """
    target = registry.protocol(name).protocol
    found = resolve(target)
    if not isinstance(found, Protocol) or found.name != name:
        raise PluginError(f"'{target}' is no protocol named '{name}'")
    return found
