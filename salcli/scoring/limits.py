"""Limits for continuous integration: values that must not fall below a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from salcli.errors import UnknownName, UsageError

__all__ = ["Limit", "parse_limit"]


@dataclass(frozen=True)
class Limit:
    """The lowest value allowed.

    Attributes:
        name: What it limits; `None` for everything.
        value: The lowest value.
    """

    name: str | None
    value: float

    def keeps(self, value: float) -> bool:
        """Whether a value reaches the limit; an undefined value (NaN) does not."""
        return value >= self.value


def parse_limit(text: str, *, kind: str, names: Sequence[str], most: float = math.inf) -> Limit:
    """The limit `NAME=NUMBER`, or `NUMBER` for everything; `5%` is 0.05.

    Args:
        text: The limit.
        kind: What the names are, for messages, such as `metric`.
        names: Known names; case makes no difference.
        most: Largest absolute value of the number.

    Raises:
        UsageError: The text has another form.
        UnknownName: There is no such name.
    """
    name, equals, number = text.rpartition("=")
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        if not (math.isfinite(value) and abs(value) <= most):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"the limit '{text}' must be {kind.upper()}=NUMBER or NUMBER, such as 0.05, -0.02 or 5%"
        ) from None
    if not equals:
        return Limit(None, value)
    spelled = {known.casefold(): known for known in names} | {known: known for known in names}
    found = spelled.get(name, spelled.get(name.casefold()))
    if found is None:
        raise UnknownName(kind, name, names)
    return Limit(found, value)
