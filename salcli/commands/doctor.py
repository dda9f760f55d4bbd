"""`salcli doctor`: what works on this machine, and how to fix what does not."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from salcli.commands import _tables
from salcli.commands._options import Json
from salcli.errors import SalcliError

if TYPE_CHECKING:
    from salcli.plugins.loader import Plugin

__all__ = ["doctor"]

LITTLE_SPACE = 2**30
"""Free bytes below which the next download or video may not fit."""


@dataclass
class Diagnosis:
    """The result of all checks.

    Attributes:
        facts: What was found, by name.
        problems: What is wrong, each with a remedy.
    """

    facts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def doctor(*, as_json: Json = False) -> None:
    """Look for problems: torch, devices, ffmpeg, plugins, weights cache. Exit code 1 if any.

    \b
    Examples:
      salcli doctor
      salcli doctor --json
    """
    report = Diagnosis()
    _look_at_core(report)
    _look_at_torch(report)
    _look_at_ffmpeg(report)
    _look_at_plugins(report)
    _look_at_cache(report)
    if as_json:
        document = {"facts": report.facts, "problems": report.problems}
        typer.echo(json.dumps(document, indent=2))
    else:
        for line in _tables.facts(report.facts):
            typer.echo(line)
        typer.echo("")
        for problem in report.problems:
            typer.echo(f"problem: {problem}")
        if not report.problems:
            typer.echo("no problems found")
    if report.problems:
        raise typer.Exit(1)


def _look_at_core(report: Diagnosis) -> None:
    from salcli._version import __version__

    report.facts["salcli"] = __version__
    report.facts["python"] = f"{platform.python_version()} on {platform.platform()}"


def _look_at_torch(report: Diagnosis) -> None:
    try:
        import torch

        from salcli import devices
    except (ImportError, OSError) as error:
        report.problems.append(f"torch cannot be imported ({error}); install salcli again")
        return
    report.facts["torch"] = torch.__version__
    for name in devices.available():
        shown = torch.cuda.get_device_name(name) if name.startswith("cuda") else ""
        report.facts[f"device {name}"] = shown or f"{torch.get_num_threads()} threads"
    if not torch.cuda.is_available() and shutil.which("nvidia-smi") and torch.version.cuda is None:
        report.problems.append(
            "there is an NVIDIA driver, but this torch is built without CUDA; install torch as "
            "https://pytorch.org/get-started says for your CUDA version"
        )


def _look_at_ffmpeg(report: Diagnosis) -> None:
    try:
        from salcli.media import program

        found = program.ffmpeg()
        shown = subprocess.run([found, "-version"], capture_output=True, text=True, check=True)
        report.facts["ffmpeg"] = f"{shown.stdout.splitlines()[0]} ({found})"
    except (ImportError, OSError, SalcliError, subprocess.CalledProcessError) as error:
        report.problems.append(
            f"ffmpeg cannot be run ({error}); install imageio-ffmpeg again, or set "
            "IMAGEIO_FFMPEG_EXE to an ffmpeg program"
        )


def _look_at_plugins(report: Diagnosis) -> None:
    from salcli.plugins import loader, registry

    models = registry.models()
    registry.datasets()
    registry.metrics()
    loaded: list[Plugin] = list(loader.load())
    for plugin in loaded:
        state = f"broken: {plugin.error}" if plugin.error else "ok"
        report.facts[f"plugin {plugin.name}"] = f"{plugin.distribution} {plugin.version}, {state}"
        if plugin.error:
            report.problems.append(
                f"plugin '{plugin.name}' is broken: {plugin.error}; update or uninstall "
                f"{plugin.distribution}"
            )
    report.facts["models"] = ", ".join(sorted(models))
    if all(registry.provider(name).distribution == "salcli" for name in models):
        report.problems.append(
            "no model is installed, only baselines; to install one: pip install 'salcli[unisal]'"
        )
    if missing := registry.installation(registry.DEFAULT_MODEL):
        report.facts["default model"] = f"{registry.DEFAULT_MODEL} is not installed ({missing})"


def _look_at_cache(report: Diagnosis) -> None:
    from salcli.weights import store

    folder = store.cache_root()
    used = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    report.facts["weights cache"] = f"{folder} ({used / 1e6:.1f} MB, {free / 1e9:.1f} GB free)"
    if free < LITTLE_SPACE:
        report.problems.append(
            f"only {free / 1e6:.0f} MB are free at '{existing}'; make room, or set SALCLI_CACHE_DIR"
        )
    if not os.access(existing, os.W_OK):
        report.problems.append(
            f"'{existing}' cannot be written; change its permissions, or set SALCLI_CACHE_DIR"
        )
    for variable in ("SALCLI_OFFLINE", "SALCLI_WEIGHTS_MIRROR"):
        report.facts[variable] = os.environ.get(variable) or "not set"
