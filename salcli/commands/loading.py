"""Loads the models that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from salcli.errors import UsageError
from salcli.plugins import registry

if TYPE_CHECKING:
    from salcli.loading import Loaded

__all__ = ["load_models"]


def load_models(
    names: Sequence[str] | None,
    *,
    option: Sequence[str] | None,
    weights: Path | None,
    device: str,
    offline: bool,
    quiet: bool,
) -> list[Loaded]:
    """The named models, or the default one; a bar shows downloads.

    Raises:
        UnknownName, UsageError: No such model, tag, option or device; or what belongs to one model
            is given for several.
        WeightsError: The weights cannot be had, verified or loaded.
    """
    chosen = list(dict.fromkeys(names or [registry.DEFAULT_MODEL]))
    if len(chosen) > 1 and (weights or option):
        raise UsageError("--weights and --option are of one model, but --model names several")
    for name in chosen:
        registry.model(name)  # before any of them is downloaded

    from salcli.loading import load_model
    from salcli.progress import download_bar

    loaded = []
    for name in chosen:
        with download_bar(name, quiet=quiet) as report:
            loaded.append(
                load_model(
                    name,
                    options=option or (),
                    weights_file=weights,
                    device=device,
                    offline=offline,
                    report=report,
                )
            )
    return loaded
