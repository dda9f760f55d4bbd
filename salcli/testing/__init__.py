"""For the tests of plugins: `check_plugin`, `check_model`, and parts of a training to try singly.

`check_model` builds the model with a randomly initialised network, so it needs no weights, and
shows it small generated stimuli on the CPU; how a model must behave is in
`salcli.testing.contract`, how it is described in `salcli.testing.description`.
Fixtures for pytest are in `salcli.testing.fixtures`, datasets of a few tiny files in
`salcli.testing.miniatures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from salcli._lazy import lazily
from salcli.errors import PluginError
from salcli.plugins import loader, registry
from salcli.specs import ModelSpec
from salcli.testing.description import HEAVY
from salcli.testing.parts import laws, verdicts
from salcli.testing.subject import Subject

if TYPE_CHECKING:
    from salcli.gaze.groundtruth import read_density
    from salcli.models.engine import use_engine
    from salcli.testing.exports import exported
    from salcli.training.optimisation import autocast, freeze, make_optimiser
    from salcli.training.plan import fixed_samples, samples
    from salcli.training.validation import by_maps

__all__ = [
    "HEAVY",
    "autocast",
    "by_maps",
    "check_model",
    "check_plugin",
    "exported",
    "fixed_samples",
    "freeze",
    "make_optimiser",
    "read_density",
    "samples",
    "use_engine",
]

__getattr__ = lazily(
    __name__,
    {
        "autocast": "salcli.training.optimisation",
        "by_maps": "salcli.training.validation",
        "exported": "salcli.testing.exports",
        "fixed_samples": "salcli.training.plan",
        "freeze": "salcli.training.optimisation",
        "make_optimiser": "salcli.training.optimisation",
        "read_density": "salcli.gaze.groundtruth",
        "samples": "salcli.training.plan",
        "use_engine": "salcli.models.engine",
    },
)

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def check_model(
    model: str | ModelSpec,
    *,
    options: Mapping[str, Any] = NO_OPTIONS,
    weights: bool | str | Path = False,
) -> None:
    """Check that a model keeps the contract of `salcli.authoring.Model`.

    Args:
        model: The name of a model of an installed plugin, or its description.
        options: The model's options for this check, such as a smaller input for a slow network.
        weights: Load a weights file instead of a random network: `True` for the published ones, or
            a path. For networks that exist only as a file, such as those of ONNX or TorchScript.

    Raises:
        UnknownName: No plugin brings a model of this name.
        PluginError: Names the model, the law that it breaks, and how.
    """
    spec = model if isinstance(model, ModelSpec) else registry.model(model)[0]
    for _, check in laws(Subject(spec, options, weights)):
        check()


def check_plugin(name: str) -> None:
    """Check all models, filters, metrics and datasets of an installed plugin.

    Args:
        name: That of its entry point; `salcli plugins` lists them.

    Raises:
        UnknownName: No plugin of this name is installed.
        PluginError: Names the part, the law that it breaks, and how.
    """
    for verdict in verdicts(loader.load().named(name)):
        if verdict.complaint:
            raise PluginError(verdict.complaint)
