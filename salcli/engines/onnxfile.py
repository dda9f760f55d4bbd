"""Writes a network as an ONNX file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from salcli.engines.graph import Exportable, examples

__all__ = ["any_batch", "tracing", "write_onnx"]

OPSET = 18
"""Version of ONNX's operators."""


def write_onnx(
    exportable: Exportable,
    path: Path,
    *,
    network: nn.Module | None = None,
    outputs: Sequence[str] | None = None,
    batch: int | None = None,
) -> None:
    """Write a network as an ONNX file.

    Args:
        exportable: What is written.
        path: The file.
        network: Another network with these inputs and states.
        outputs: Names of all that it gives.
        batch: Size of the batch; by default the file takes any.
    """
    tensors = examples(exportable) if batch is None else examples(exportable, batch)
    with tracing():
        program = torch.onnx.export(
            network or exportable.network,
            tuple(tensors),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(exportable.given),
            output_names=list(outputs or exportable.found),
            dynamic_shapes=any_batch(tensors) if batch is None else None,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        program.save(str(path))


def any_batch(tensors: Sequence[Tensor]) -> tuple[dict[int, torch.export.Dim], ...]:
    """What tells an exporter that the first dimension of all tensors may have any length."""
    batch = torch.export.Dim("batch")
    return tuple({0: batch} for _ in tensors)


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
