"""Laws that the description of a model keeps; nothing is built for them."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from salcli.errors import PluginError, SalcliError
from salcli.plugins import registry
from salcli.specs import DatasetSpec, FilterSpec, ModelSpec, Weights, parse_options
from salcli.testing.subject import broken
from salcli.weights import cache

__all__ = ["DESCRIPTION", "HEAVY", "check_class", "has_options", "law"]

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""Names and tags are typed by people, and become folders."""

HASH = re.compile(r"sha256:[0-9a-f]{64}|gitblob:[0-9a-f]{40}")

HEAVY = ("torch", "numpy", "torchvision", "imageio", "PIL", "requests", "matplotlib")
"""What the module of a plugin must not import: every start of salcli imports that module."""

OPTION = "write it as salcli.option(default, help)"

ASK = """
import sys, typer
import {name} as plugin
for hook in [name for name in vars(plugin) if name.startswith("register_")]:
    function = getattr(plugin, hook)
    list(function(typer.Typer()) or () if hook == "register_commands" else function())
print(*(module for module in {heavy!r} if module in sys.modules))
"""
"""Imports a plugin, and asks it what it registers."""


@contextmanager
def law(spec: ModelSpec, name: str) -> Iterator[None]:
    """Give a failure the name of the law."""
    try:
        yield
    except SalcliError as error:
        raise broken(spec, name, str(error)) from error


def is_described(spec: ModelSpec) -> None:
    """The name can be typed, the summary is one line, and it is registered as it stands."""
    if not NAME.fullmatch(spec.name):
        raise broken(spec, "description", "a name is lower case letters, digits, '.', '_', '-'")
    if not spec.summary or "\n" in spec.summary:
        raise broken(spec, "description", "the summary is one line")
    if not spec.accepts or not spec.accepts <= {"stills", "clips"}:
        raise broken(spec, "description", "it accepts 'stills', 'clips' or both")
    registered, _ = registry.model(spec.name)
    if registered != spec:
        raise broken(spec, "description", "what the plugin registers under this name differs")


def has_licences(spec: ModelSpec) -> None:
    """The model and each of its weights state a licence."""
    remedy = "an SPDX identifier such as MIT, or a short text that says what is known"
    if not spec.licence:
        raise broken(spec, "licence", f"it states no licence; set licence= to {remedy}")
    for row in spec.weights:
        if not row.licence:
            how = f"weights '{row.tag}' state no licence; set licence= to {remedy}"
            raise broken(spec, "licence", how)


def has_weights(spec: ModelSpec) -> None:
    """Each of its weights can be named, obtained and verified."""
    tags = [row.tag for row in spec.weights]
    if len(set(tags)) < len(tags):
        raise broken(spec, "weights", f"two rows have the same tag: {', '.join(tags)}; rename one")
    for row in spec.weights:
        complaint = _complaint(row) or _misplaced(spec, row)
        if complaint:
            raise broken(spec, "weights", f"row '{row.tag}': {complaint}")


def _complaint(row: Weights) -> str:
    """What is wrong with a row; empty if nothing is."""
    if not NAME.fullmatch(row.tag):
        return "a tag is lower case letters, digits, '.', '_', '-'"
    if not row.urls and not row.resource:
        return "it needs URLs, or a resource inside the plugin"
    if row.hash is None and not row.note:
        return "it needs a hash (sha256:..., see sha256sum), or a note that says why there is none"
    if row.hash is not None and not HASH.fullmatch(row.hash):
        return f"'{row.hash}' is no hash such as sha256:<64 hexadecimal digits>"
    return ""


def _misplaced(spec: ModelSpec, row: Weights) -> str:
    """What is wrong with the place of a row's file; empty if nothing is."""
    try:
        path = cache.cache_path(spec, row)
    except PluginError as error:
        return f"{error}; set filename="
    if row.resource is not None and not path.is_file():
        return (
            f"resource '{row.resource}' is not in the installed package; add the file to the wheel"
        )
    return ""


def imports_lightly(spec: ModelSpec) -> None:
    """Neither the plugin's module nor its hooks import anything heavy."""
    module = registry.provider(spec.name).module
    name = module.__name__ if module else spec.factory.partition(".")[0]
    failure, found = _imported(name, os.pathsep.join(filter(None, sys.path)))
    if failure:
        raise broken(spec, "light import", f"importing '{name}' fails: {failure}")
    if found:
        how = f"importing '{name}' and asking its hooks imports {found}; move that into the factory"
        raise broken(spec, "light import", how)


@functools.cache
def _imported(name: str, path: str) -> tuple[str, str]:
    """How the import of a plugin fails, and what it imports that is heavy; asked once for all."""
    result = subprocess.run(
        [sys.executable, "-c", ASK.format(name=name, heavy=HEAVY)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    failure = result.stderr.strip().splitlines()[-1] if result.returncode else ""
    return failure, ", ".join(result.stdout.split())


def has_options(spec: ModelSpec) -> None:
    """Its options have defaults and help, and can be typed; unknown ones are refused."""
    if spec.options is not None:
        check_class(spec, spec.options)
        _check_typing(spec, spec.options)
    with law(spec, "options"):
        for row in spec.weights:
            parse_options(spec, {}, defaults=row.options)
    try:
        parse_options(spec, ["no_such_option=1"], defaults={})
    except SalcliError:
        return
    raise broken(spec, "options", "an unknown option is not refused")


def check_class(spec: ModelSpec | FilterSpec | DatasetSpec, options: type) -> None:
    """Check a class of options: frozen, every field with a default and help.

    Raises:
        PluginError: Something is missing.
    """
    parameters = getattr(options, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise broken(
            spec,
            "options",
            f"{options.__name__} is not a frozen dataclass; write @dataclass(frozen=True) above it",
        )
    for field in dataclasses.fields(options):
        if field.default is field.default_factory:  # both are MISSING
            raise broken(spec, "options", f"'{field.name}' has no default; {OPTION}")
        if not field.metadata.get("help"):
            raise broken(spec, "options", f"'{field.name}' has no help; {OPTION}")


def _check_typing(spec: ModelSpec, options: type) -> None:
    """Check that each default can be typed."""
    with law(spec, "options"):
        for field in dataclasses.fields(options):
            default = getattr(options(), field.name)
            shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
            parsed = parse_options(spec, [f"{field.name}={shown}"], defaults={})
            if getattr(parsed, field.name) != default:
                raise broken(spec, "options", f"{field.name}={shown} does not give the default")


DESCRIPTION = (is_described, has_licences, has_weights, imports_lightly, has_options)
"""In an order in which the first that is broken says most."""
