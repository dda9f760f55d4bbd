"""Errors that the code of plugins lets through, with the name of whose code failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from salcli.devices import OutOfMemoryError, reporting_shortage
from salcli.errors import PluginError, SalcliError
from salcli.plugins import loader

__all__ = ["failures_of"]


@contextmanager
def failures_of(who: str) -> Iterator[None]:
    """Run a step of the code of a model or filter; an error that it lets through names it.

    A plugin that changes every prediction may have raised the error on the way; then the error
    names that plugin.

    Args:
        who: A kind and a name, such as `model 'x'`.

    Raises:
        OutOfMemoryError: The step does not fit into memory.
        PluginError: Anything else went wrong.
    """
    try:
        with reporting_shortage():
            yield
    except (SalcliError, OutOfMemoryError):
        raise
    except Exception as error:
        plugins = loader.load()
        raiser = plugins.raised_by(error)
        if raiser in plugins.altering():
            who = f"plugin '{raiser.distribution}', which changes the predictions of {who},"
        text = " ".join(str(error).split())
        raise PluginError(f"{who} failed: {type(error).__name__}: {text}") from error
