"""Limits below which areas of interest must not fall, for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from salcli.areas.attention import Attention
from salcli.scoring.limits import Limit

__all__ = ["broken"]


def broken(limits: Sequence[Limit], found: Attention) -> Iterator[str]:
    """A line for each area that is below a limit.

    A limit with the name of an area is one on its share, a limit without a name one on the change
    of every share since `found.against`.
    """
    shares = {name: summary.share for name, summary in found.summary().items()}
    prefix = "" if found.against else f"{found.source}: "
    for limit in limits:
        if limit.name is not None:
            share = shares[limit.name]
            if not limit.keeps(share):
                yield f"{prefix}{limit.name}: share {share:.2%} is below {limit.value:.2%}"
            continue
        for each in found.changes():
            if not limit.keeps(each.change):
                yield f"{each.name}: change {each.change:+.2%} is below {limit.value:+.2%}"
