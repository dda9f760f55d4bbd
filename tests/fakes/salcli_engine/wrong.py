"""Engines that are not as they should be."""

import onnxruntime


def load(path, threads, calls):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda frames: [maps + 1e-3 for maps in session.run(None, {"frames": frames})]


def fail(path, threads, calls):
    raise OSError("no licence for this processor")
