"""ONNX Runtime, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from salcli.specs import ArrayNetwork

__all__ = ["load"]


def load(path: Path, threads: int, calls: int) -> ArrayNetwork:
    """See `salcli.specs.EngineSpec`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads // calls)
    options.log_severity_level = 3  # errors only
    # threads that wait busily would take the cores of decoders and encoders
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        found: list[npt.NDArray[np.float32]] = session.run(
            None, dict(zip(names, arrays, strict=True))
        )
        return found

    return run
