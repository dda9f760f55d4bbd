"""Writes a model's network, with the maths behind it, as a file of another format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import util
from pathlib import Path

import torch
from torch import Tensor, nn

from salcli.engines import onnxfile
from salcli.engines.graph import Exportable, RunNetwork, examples
from salcli.engines.networks import on_tensors
from salcli.errors import UsageError
from salcli.specs import ArrayNetwork

__all__ = ["FORMATS", "Published", "check_installed", "load", "published", "write"]

NEEDS: Mapping[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "pt2": (),
}
"""What each format needs, to be written and to be checked."""

FORMATS = tuple(NEEDS)

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "pt2": ".pt2"}
"""An OpenVINO file has its weights in another one beside it, with the ending `.bin`."""


class Published(nn.Module):
    """A network with the maths behind it: inputs and states to published maps, and states after."""

    def __init__(self, exportable: Exportable) -> None:
        super().__init__()
        self.network, self.finish = exportable.network, exportable.finish
        self.count = len(exportable.outputs)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Maps `[N, H, W]` in [0, 1], then the states."""
        found = self.network(*tensors)
        return self.finish(*found[: self.count]), *found[self.count :]


def published(exportable: Exportable) -> Exportable:
    """The same network with the maths behind it, whose only output is `map`."""
    return replace(
        exportable,
        network=Published(exportable).eval(),
        outputs=["map"],
        finish=lambda maps: maps,
    )


def check_installed(format_: str) -> None:
    """Refuse a format whose libraries are missing.

    Raises:
        UsageError: They are.
    """
    missing = [name for name in NEEDS[format_] if util.find_spec(name) is None]
    if missing:
        extra = "openvino" if format_ == "openvino" else "onnxruntime"
        raise UsageError(
            f"format '{format_}' needs {', '.join(missing)}: pip install 'salcli[{extra}]'"
        )


def write(exportable: Exportable, format_: str, path: Path, *, batch: int | None) -> None:
    """Write a network of `Published` maps.

    Args:
        exportable: As `published` gives it.
        format_: One of `FORMATS`.
        path: The file.
        batch: Size of the batch; `None` for any.
    """
    if format_ == "pt2":
        tensors = examples(exportable, batch or 2)
        shapes = onnxfile.any_batch(exportable.network, tensors) if batch is None else None
        with onnxfile.tracing():
            program = torch.export.export(exportable.network, tuple(tensors), dynamic_shapes=shapes)
            torch.export.save(program, path)
        return
    target = path if format_ == "onnx" else path.with_suffix(".onnx")
    onnxfile.write_onnx(exportable, target, batch=batch)
    if format_ == "openvino":
        import openvino

        openvino.save_model(openvino.convert_model(target), path, compress_to_fp16=False)
        target.unlink()


def load(format_: str, path: Path) -> RunNetwork:
    """The network of a file, as programs without salcli run it."""
    if format_ == "pt2":
        run: RunNetwork = torch.export.load(path).module()
        return run
    if format_ == "onnx":
        from salcli.engines import onnxruntime as engine
    else:
        from salcli.engines import openvino as engine  # type: ignore[no-redef]
    loading: Callable[..., ArrayNetwork] = engine.load
    return on_tensors(loading(path, torch.get_num_threads(), 1))
