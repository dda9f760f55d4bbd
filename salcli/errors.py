"""Everything that salcli raises on purpose.

::

    SalcliError                exit code 1   something that the user can act on
    +-- InputError                       1   one input cannot be read
    +-- OutputError                      1   a result cannot be written
    +-- UsageError                       2   the request itself makes no sense
    |   +-- UnknownName                  2   no such model, tag, dataset, metric, option
    +-- WeightsError                     3   weights could not be obtained, verified or loaded
    +-- PluginError                      4   a plugin broke its contract

A message says what happened, where, and what to do next, in one line if that is enough. A traceback
that reaches the user is a bug.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "InputError",
    "OutputError",
    "PluginError",
    "SalcliError",
    "UnknownName",
    "UsageError",
    "WeightsError",
]


class SalcliError(Exception):
    """Root of the tree; `exit_code` is what the process ends with."""

    exit_code = 1


class InputError(SalcliError):
    """One input cannot be read; the other inputs are still processed."""


class OutputError(SalcliError):
    """A result cannot be written: no permission, no space left, a name taken by something else."""


class UsageError(SalcliError):
    """The request makes no sense as it stands."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that nobody registered; the message offers the nearest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, remedy: str = "") -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        if not names:
            hint = "none are installed"
        super().__init__(f"no {kind} named '{name}'; {hint}{' ' if remedy else ''}{remedy}")

    def __reduce__(self) -> tuple[type[UsageError], tuple[str]]:
        """Another process sees the finished message; it could not be made again from its parts."""
        return UsageError, (str(self),)


class WeightsError(SalcliError):
    """Weights could not be obtained, do not match their hash, or do not fit the network."""

    exit_code = 3


class PluginError(SalcliError):
    """A plugin failed to import or broke the contract of a hook or of `Model`."""

    exit_code = 4
