"""Limits below which areas of interest must not fall, for continuous integration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from salcli.errors import UnknownName, UsageError

__all__ = ["Threshold", "broken", "parse"]


@dataclass(frozen=True)
class Threshold:
    """A limit.

    Attributes:
        area: Whose share must not be below the limit; `None`: of all areas the change must not.
        limit: Part of all attention.
    """

    area: str | None
    limit: float


def parse(text: str, *, names: Sequence[str], compares: bool) -> Threshold:
    """The threshold `AREA=SHARE`, or `CHANGE` alone where two inputs are compared.

    Numbers are parts, such as 0.05 or -0.02, or percent, such as 5%.

    Raises:
        UsageError: It is neither, or there is nothing to compare.
        UnknownName: There is no such area.
    """
    name, equals, number = text.rpartition("=")
    try:
        limit = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        if not (math.isfinite(limit) and -1 <= limit <= 1):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--fail-below {text}: write AREA=SHARE or CHANGE, as parts (0.05) or percent (5%)"
        ) from None
    if equals and name not in names:
        raise UnknownName("area", name, names)
    if not equals and not compares:
        raise UsageError(f"--fail-below {text}: a change needs --against; or write AREA=SHARE")
    return Threshold(name if equals else None, limit)


def broken(
    thresholds: Sequence[Threshold],
    *,
    shares: Mapping[str, float],
    changes: Mapping[str, float],
) -> Iterator[str]:
    """A line for each area that is below a limit.

    Args:
        thresholds: The limits.
        shares: By area.
        changes: By area; empty where nothing is compared.
    """
    for threshold in thresholds:
        if threshold.area is not None:
            share = shares[threshold.area]
            if share < threshold.limit:
                yield f"{threshold.area}: share {share:.2%} is below {threshold.limit:.2%}"
            continue
        for name, change in changes.items():
            if change < threshold.limit:
                yield f"{name}: change {change:+.2%} is below {threshold.limit:+.2%}"
