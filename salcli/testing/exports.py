"""Runs an exported network as a program does that has neither salcli nor PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from salcli.engines.graph import Exportable
from salcli.export import files

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["exported"]

PROGRAM = """
import sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
given = dict(numpy.load("given.npz"))
numpy.save("maps.npy", session.run(["map"], given)[0])
assert not {"torch", "salcli"} & set(sys.modules)
"""


def exported(
    exportable: Exportable, inputs: Sequence[npt.NDArray[np.float32]], folder: Path
) -> npt.NDArray[np.float32]:
    """Maps `[N, H, W]` of inputs `[N, ...]` by the network's ONNX file; needs `onnxruntime`.

    Args:
        exportable: The network, whose states are those before the first frame.
        inputs: In its order.
        folder: Where the files go.

    Raises:
        CalledProcessError: The program failed.
    """
    files.write(files.published(exportable), "onnx", folder / "network.onnx", batch=None)
    given = dict(zip(exportable.inputs, inputs, strict=True))
    for name, shape in exportable.states.items():
        given[name] = np.zeros((len(inputs[0]), *shape), np.float32)
    np.savez(folder / "given.npz", **given)  # type: ignore[arg-type] # its stub means `allow_pickle`
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, check=True)
    maps: npt.NDArray[np.float32] = np.load(folder / "maps.npy")
    return maps
