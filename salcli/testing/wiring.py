"""Laws about how a model is wired: its layers, its device, and the way that its input comes."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from salcli.errors import SalcliError
from salcli.models.model import Model
from salcli.testing.subject import ODD, Subject, broken, picture
from salcli.types import Frame, Stimulus

__all__ = ["WIRING", "runs_in_its_precisions"]

ELSEWHERE = torch.device("cuda")
"""A device of fake tensors: nothing is computed, so that it need not be there."""


def registers_layers(subject: Subject) -> None:
    """All its layers are registered, so that they are moved, trained and saved."""
    network = subject.known.network
    registered = {id(module) for module in network.modules()}
    for name, module in network.named_modules():
        for key, value in vars(module).items():
            if key == "_modules" or not isinstance(value, list | tuple | dict):
                continue
            items = value.values() if isinstance(value, dict) else value
            if any(isinstance(item, nn.Module) and id(item) not in registered for item in items):
                place = f"{name}.{key}".lstrip(".")
                kind = "ModuleDict" if isinstance(value, dict) else "ModuleList"
                how = f"'{place}' of its network holds layers in a plain {type(value).__name__}"
                raise broken(subject.spec, "registered layers", f"{how}; use nn.{kind}")


def asks_the_hook(subject: Subject) -> None:
    """Its input comes through the hook `preprocess`, which plugins may change."""
    model = _watched(subject.known)
    for fps in subject.kinds():
        subject.maps(model, [picture(seed) for seed in range(2)], fps)
    if model.past_the_hook and not model.asked:  # further inputs, such as flow, are its own
        how = (
            "predict calls self.preprocess; self.inputs(frames) asks the hook, and moves the input"
        )
        raise broken(subject.spec, "input through the hook", how)


def _watched(model: Model) -> Any:
    """A copy of the model that notes whether `preprocess` was called past the hook."""
    inside = threading.local()

    class Watched(type(model)):  # type: ignore[misc]
        past_the_hook = asked = False

        def preprocessed(self, frames: Sequence[Frame]) -> Tensor:
            self.asked = inside.hook = True
            try:
                found: Tensor = super().preprocessed(frames)
            finally:
                inside.hook = False
            return found

        def preprocess(self, frames: Sequence[Frame]) -> Tensor:
            if not getattr(inside, "hook", False):
                self.past_the_hook = True
            found: Tensor = super().preprocess(frames)
            return found

    other = copy.copy(model)
    other.__class__ = Watched
    return other


def stays_on_its_device(subject: Subject) -> None:
    """Everything that it computes with is on the model's device."""
    model = subject.known
    if any(isinstance(each, torch.jit.ScriptModule) for each in model.network.modules()):
        return  # fake tensors cannot be put into compiled code
    for fps in subject.kinds():
        frames = [picture(seed) for seed in range(3)]
        stimulus = Stimulus("trial", frames, fps=fps, size=ODD, count=len(frames))
        try:
            with _elsewhere(model) as moved:
                for _ in moved.predict(stimulus):
                    pass
        except Exception as error:
            # anything else comes of the fake tensors: they have no values
            text = " ".join(str(error).split())
            if re.search("different devices|same device", text):
                how = f"{text} Make tensors with device=self.device, and move others by .to"
                raise broken(subject.spec, "one device", how) from error


def runs_in_its_precisions(subject: Subject) -> None:
    """Its network runs in bfloat16, unless its description names other precisions."""
    if "bfloat16" not in subject.spec.precisions:
        return
    model = subject.fresh()
    model.to(model.device, torch.bfloat16)
    for fps in subject.kinds():
        try:
            subject.maps(model, [picture(seed) for seed in range(2)], fps)
        except SalcliError as error:
            how = f"{error}; set precisions= to those that the network can run in"
            raise broken(subject.spec, "precisions", how) from error


@contextmanager
def _elsewhere(model: Model) -> Iterator[Model]:
    """A copy of the model on a device that may not be there, whose network has fake tensors."""
    other = copy.copy(model)
    networks = [value for value in vars(model).values() if isinstance(value, nn.Module)]
    holders: list[dict[str, Any]] = [
        tensors
        for network in networks
        for module in network.modules()
        for tensors in (module._parameters, module._buffers)
    ]
    before = [dict(tensors) for tensors in holders]
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        for tensors in (*holders, vars(other)):
            _fake(tensors, mode)
        other.device = ELSEWHERE
        with mode, torch.no_grad():
            yield other
    finally:
        for tensors, own in zip(holders, before, strict=True):
            tensors.update(own)


def _fake(tensors: MutableMapping[str, Any], mode: FakeTensorMode) -> None:
    """Put fake tensors on another device in the place of tensors."""
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor):
            with mode:
                fake = mode.from_tensor(tensor.detach()).to(ELSEWHERE)
            is_parameter = isinstance(tensor, nn.Parameter)
            tensors[name] = nn.Parameter(fake, requires_grad=False) if is_parameter else fake


WIRING = (registers_layers, asks_the_hook, stays_on_its_device)
