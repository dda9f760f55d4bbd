"""OpenVINO, on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.specs import ArrayNetwork

__all__ = ["load"]


def load(path: Path, threads: int, calls: int) -> ArrayNetwork:
    """See `salcli.specs.EngineSpec`."""
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": calls,
        "INFERENCE_PRECISION_HINT": "f32",  # its default depends on the processor
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    own = threading.local()

    def run(*arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        found = own.request.infer(list(arrays))
        return [np.asarray(found[output]) for output in compiled.outputs]

    return run
