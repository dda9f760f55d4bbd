"""Limits below which areas of interest must not fall, for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from salcli.scoring.limits import Limit

__all__ = ["broken"]


def broken(
    limits: Sequence[Limit], *, shares: Mapping[str, float], changes: Mapping[str, float]
) -> Iterator[str]:
    """A line for each area that is below a limit.

    Args:
        limits: With the name of an area a limit on its share, without one on all changes.
        shares: Share of all attention, by area.
        changes: Change of the share, by area; empty if nothing is compared.
    """
    for limit in limits:
        if limit.name is not None:
            if not limit.keeps(shares[limit.name]):
                yield f"{limit.name}: share {shares[limit.name]:.2%} is below {limit.value:.2%}"
            continue
        for name, change in changes.items():
            if not limit.keeps(change):
                yield f"{name}: change {change:+.2%} is below {limit.value:+.2%}"
