"""Which plugins the user wants: all, unless they are disabled or `SALCLI_PLUGINS` names others."""

from __future__ import annotations

import json
import os
from pathlib import Path

from platformdirs import user_config_path

from salcli.errors import InputError
from salcli.files import atomic
from salcli.files.jsonfile import read_json

__all__ = ["choose", "left_out"]

VARIABLE = "SALCLI_PLUGINS"


def left_out(name: str) -> str:
    """Why the plugin of this name is not loaded; empty if it is.

    `SALCLI_PLUGINS` names all that are loaded, separated by commas, disabled ones as well; the core
    always is.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted is not None:
        named = [each.strip() for each in wanted.split(",")]
        return "" if name in named else f"{VARIABLE} does not name it"
    return "disabled" if name in _disabled() else ""


def choose(name: str, *, enabled: bool) -> None:
    """Enable or disable the plugin of this name for all later starts.

    Raises:
        OutputError: The file of this choice cannot be written.
    """
    others = _disabled() - {name}
    chosen = others if enabled else others | {name}
    atomic.write(_file(), json.dumps({"disabled": sorted(chosen)}, indent=2) + "\n")


def _disabled() -> set[str]:
    try:
        found = read_json(_file(), dict[str, list[str]])
    except InputError:
        return set()  # missing, or not of salcli
    return set(found.get("disabled", ()))


def _file() -> Path:
    return user_config_path("salcli") / "plugins.json"
