"""For the tests of plugins: `check_model("name")`, and parts of a training to try one by one.

`check_model` builds the model with a randomly initialised network, so it needs no weights, and
shows it small generated stimuli on the CPU; how a model must behave is in
`salcli.testing.contract`.
Fixtures for pytest are in `salcli.testing.fixtures`, datasets of a few tiny files in
`salcli.testing.miniatures`.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from salcli._lazy import lazily
from salcli.errors import SalcliError
from salcli.plugins import registry
from salcli.specs import ModelSpec, Weights, parse_options
from salcli.testing import contract
from salcli.testing.subject import Subject, broken

if TYPE_CHECKING:
    from salcli.gaze.groundtruth import read_density
    from salcli.training.optimisation import autocast, freeze, make_optimiser
    from salcli.training.plan import fixed_samples, samples
    from salcli.training.validation import by_maps

__all__ = [
    "HEAVY",
    "autocast",
    "by_maps",
    "check_model",
    "fixed_samples",
    "freeze",
    "make_optimiser",
    "read_density",
    "samples",
]

__getattr__ = lazily(
    __name__,
    {
        "autocast": "salcli.training.optimisation",
        "by_maps": "salcli.training.validation",
        "fixed_samples": "salcli.training.plan",
        "freeze": "salcli.training.optimisation",
        "make_optimiser": "salcli.training.optimisation",
        "read_density": "salcli.gaze.groundtruth",
        "samples": "salcli.training.plan",
    },
)

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""Names and tags are typed by people, and become folders."""

HASH = re.compile(r"sha256:[0-9a-f]{64}|gitblob:[0-9a-f]{40}")

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})

HEAVY = ("torch", "numpy", "torchvision", "imageio", "PIL", "requests", "matplotlib")
"""What the module of a plugin must not import: every start of salcli imports that module."""


def check_model(model: str | ModelSpec, *, options: Mapping[str, Any] = NO_OPTIONS) -> None:
    """Check that a model keeps the contract of `salcli.authoring.Model`.

    Args:
        model: The name of a model of an installed plugin, or its description.
        options: The model's options for this check, such as a smaller input for a slow network.

    Raises:
        UnknownName: No plugin brings a model of this name.
        PluginError: Names the model, the law that it breaks, and how.
    """
    spec = model if isinstance(model, ModelSpec) else registry.model(model)[0]
    _check_description(spec)
    _check_weights(spec)
    _check_light_import(spec)
    _check_options(spec)
    subject = Subject(spec, options)
    with _law(spec, "factory"):
        _ = subject.known
    for check in contract.LAWS:
        check(subject)


@contextmanager
def _law(spec: ModelSpec, law: str) -> Iterator[None]:
    """Give a failure the name of the law."""
    try:
        yield
    except SalcliError as error:
        raise broken(spec, law, str(error)) from error


def _check_description(spec: ModelSpec) -> None:
    if not NAME.fullmatch(spec.name):
        raise broken(spec, "description", "a name is lower case letters, digits, '.', '_', '-'")
    if not spec.summary or "\n" in spec.summary:
        raise broken(spec, "description", "the summary is one line")
    if not spec.accepts or not spec.accepts <= {"stills", "clips"}:
        raise broken(spec, "description", "it accepts 'stills', 'clips' or both")
    registered, _ = registry.model(spec.name)
    if registered != spec:
        raise broken(spec, "description", "what the plugin registers under this name differs")


def _check_weights(spec: ModelSpec) -> None:
    tags = [row.tag for row in spec.weights]
    if len(set(tags)) < len(tags):
        raise broken(spec, "weights", f"two rows have the same tag: {', '.join(tags)}")
    for row in spec.weights:
        complaint = _complaint(row)
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


def _check_light_import(spec: ModelSpec) -> None:
    """Import the plugin's module in a fresh interpreter, and look at what came with it."""
    module = registry.provider(spec.name).module
    name = module.__name__ if module else spec.factory.partition(".")[0]
    code = f"import sys, {name}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    path = os.pathsep.join(filter(None, sys.path))
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1]
        raise broken(spec, "light import", f"importing '{name}' fails: {last}")
    if result.stdout.strip():
        found = ", ".join(result.stdout.split())
        raise broken(
            spec, "light import", f"importing '{name}' imports {found}; move that into the factory"
        )


def _check_options(spec: ModelSpec) -> None:
    if spec.options is not None:
        _check_options_class(spec, spec.options)
    with _law(spec, "options"):
        for row in spec.weights:
            parse_options(spec, {}, defaults=row.options)
    try:
        parse_options(spec, ["no_such_option=1"], defaults={})
    except SalcliError:
        return
    raise broken(spec, "options", "an unknown option is not refused")


def _check_options_class(spec: ModelSpec, options: type) -> None:
    parameters = getattr(options, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise broken(spec, "options", f"{options.__name__} is not a frozen dataclass")
    for field in dataclasses.fields(options):
        if field.default is field.default_factory:  # both are MISSING
            raise broken(spec, "options", f"'{field.name}' has no default")
        if not field.metadata.get("help"):
            raise broken(spec, "options", f"'{field.name}' has no metadata['help']")
    with _law(spec, "options"):
        for field in dataclasses.fields(options):
            default = getattr(options(), field.name)
            shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
            parsed = parse_options(spec, [f"{field.name}={shown}"], defaults={})
            if getattr(parsed, field.name) != default:
                raise broken(spec, "options", f"{field.name}={shown} does not give the default")
