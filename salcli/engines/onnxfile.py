"""Writes a network as an ONNX file."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from salcli.engines.graph import Exportable, examples

__all__ = ["any_batch", "tracing", "write_onnx"]

OPSET = 18
"""Version of ONNX's operators."""


def write_onnx(exportable: Exportable, path: Path, *, batch: int | None = None) -> None:
    """Write a network as an ONNX file; `batch` is the size of its batch, by default any."""
    tensors = examples(exportable) if batch is None else examples(exportable, batch)
    with tracing():
        program = torch.onnx.export(
            exportable.network,
            tuple(tensors),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(exportable.given),
            output_names=exportable.found,
            dynamic_shapes=any_batch(exportable.network, tensors) if batch is None else None,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        program.save(str(path))


def any_batch(network: nn.Module, tensors: Sequence[Tensor]) -> Any:
    """What tells an exporter that the first dimension of all tensors may have any length."""
    batch = torch.export.Dim("batch")
    each = tuple({0: batch} for _ in tensors)
    parameters = inspect.signature(network.forward).parameters.values()
    variadic = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)
    return (each,) if variadic else each


@contextmanager
def tracing() -> Iterator[None]:
    """Trace a network within the block, without what the exporters print meanwhile."""
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        warnings.catch_warnings(),
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
