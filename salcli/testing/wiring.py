"""Laws about how a model is wired: its layers, its device, and the way that its input comes."""

from __future__ import annotations

import copy
import random
import re
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from salcli.errors import SalcliError
from salcli.models.model import Model
from salcli.testing.subject import ODD, Subject, broken, picture
from salcli.types import Frame, Stimulus

__all__ = ["WIRING", "leaves_no_trace", "runs_in_its_precisions"]

ELSEWHERE = torch.device("meta")
"""A device that is everywhere, where nothing is computed."""

aten = torch.ops.aten
MOVING = (aten.copy_, aten._to_copy, aten.lift_fresh)
CONVOLUTIONS = (aten.convolution, aten.conv1d, aten.conv2d, aten.conv3d)
INDEXED = (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_)


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


def leaves_no_trace(subject: Subject) -> None:
    """Frames, and the random numbers that others draw, are as before."""
    for fps in subject.kinds():
        frames, before = [picture(0)], _random_states()
        subject.maps(subject.known, frames, fps)
        if not np.array_equal(frames[0], picture(0)):
            how = "it changes the frames that it is shown; change a copy"
            raise broken(subject.spec, "leaves no trace", how)
        if _random_states() != before:
            how = "it seeds or draws global random numbers; use a Generator of its own"
            raise broken(subject.spec, "leaves no trace", how)


def _random_states() -> object:
    legacy = np.random.get_state(legacy=False)["state"]
    return torch.get_rng_state().tolist(), str(legacy), random.getstate()


def stays_on_its_device(subject: Subject) -> None:
    """Everything that it computes with is on the model's device."""
    if any(isinstance(each, torch.jit.ScriptModule) for each in subject.known.network.modules()):
        return  # what compiled code computes cannot be watched
    model = subject.fresh()
    for fps in subject.kinds():
        frames = [picture(seed) for seed in range(3)]
        stimulus = Stimulus("trial", frames, fps=fps, size=ODD, count=len(frames))
        try:
            model.to(ELSEWHERE, torch.float32)
            with _OneDevice(), torch.no_grad():  # type: ignore[no-untyped-call]
                for _ in model.predict(stimulus):
                    pass
        except Exception as error:
            # anything else comes of tensors that have no values
            text = " ".join(str(error).split())
            if re.search("(different|same|expected) device", text):
                how = f"{text}; make tensors with device=self.device, and move others by .to"
                raise broken(subject.spec, "one device", how) from error


def runs_in_its_precisions(subject: Subject) -> None:
    """Its network runs in bfloat16, unless its description names other precisions."""
    if "bfloat16" not in subject.spec.precisions:
        return
    model = subject.fresh()
    model.to(model.device, torch.bfloat16)
    for fps in subject.kinds():
        try:
            with _QuickConvolution():  # type: ignore[no-untyped-call]
                subject.maps(model, [picture(seed) for seed in range(2)], fps)
        except SalcliError as error:
            how = f"{error}; set precisions= to those that the network can run in"
            raise broken(subject.spec, "precisions", how) from error


class _OneDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses to compute with tensors of two devices, as a GPU does.

    What is copied to the CPU, or read as a number, is zero.
    """

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        if any(each.device == ELSEWHERE for each in tensors):
            if function is aten._local_scalar_dense.default:
                return torch.zeros((), dtype=args[0].dtype).item()
            if function is aten._to_copy.default and str(kwargs.get("device")) == "cpu":
                return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
            name = function.overloadpacket
            # as on a GPU, a number, an index and what is copied may be on the CPU
            checked = args[:1] + args[2:] if name in INDEXED else (args, kwargs)
            if name not in MOVING:
                _check_devices(str(name), checked)
        return function(*args, **kwargs)


def _check_devices(name: str, used: Any) -> None:
    for each in tree_leaves(used):
        if isinstance(each, Tensor) and each.ndim and each.device != ELSEWHERE:
            size = "x".join(map(str, each.shape))
            raise RuntimeError(f"{name} gets a tensor of {size} on a different device, the CPU")


class _QuickConvolution(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Convolves in float32 and rounds, where the CPU would take a hundred times longer.

    PyTorch has each convolution in bfloat16; that its tensors have one type is still asked for.
    """

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        types = {each.dtype for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        if function.overloadpacket not in CONVOLUTIONS or types != {torch.bfloat16}:
            return function(*args, **kwargs)
        args, kwargs = tree_map_only(Tensor, Tensor.float, (args, kwargs))
        return function(*args, **kwargs).bfloat16()


WIRING = (registers_layers, asks_the_hook, stays_on_its_device)
