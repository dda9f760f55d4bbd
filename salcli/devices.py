"""Chooses device, precision, batch size and layout, and detects running out of memory."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor, nn

from salcli.errors import UsageError

__all__ = [
    "OutOfMemoryError",
    "available",
    "batch_size",
    "beside",
    "choose",
    "exactly",
    "for_metrics",
    "keep_freed_memory",
    "peak_memory",
    "precision",
    "reporting_shortage",
    "to_channels_last",
]

PRECISIONS = {
    "auto": torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""`auto` is float32: exact by default; the user may choose less."""

SHORTAGES = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)
"""Texts of a plain RuntimeError by which Metal, the CPU allocator, cuBLAS and cuDNN report it."""

MALLOC = ((-1, 2**29), (-3, 2**25), (-8, 1))
"""glibc's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD (its largest value) and M_ARENA_MAX, for `mallopt`."""

CPU_BATCH, ACCELERATOR_BATCH = 2, 32
"""Default batch sizes; `salcli.predict` halves a batch that does not fit into memory."""


def available() -> list[str]:
    """Names of the available devices, the best first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def choose(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` means on this machine.

    Raises:
        UsageError: There is no such device on this machine.
    """
    names = available()
    if name == "auto":
        return torch.device(names[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in names:
        raise UsageError(f"no device '{name}' on this machine, which has {', '.join(names)}")
    return torch.device(wanted)


def for_metrics(name: str) -> torch.device | None:
    """The device of this name (see `choose`) if metrics can run on it; `None` for NumPy on the CPU.

    Apple's GPUs have no double precision.

    Raises:
        UsageError: As `choose`.
    """
    chosen = choose(name)
    return chosen if chosen.type == "cuda" else None


def precision(name: str) -> torch.dtype:
    """The floating-point type that `auto`, `float32`, `bfloat16` or `float16` means.

    Raises:
        UsageError: No such precision.
    """
    if name not in PRECISIONS:
        raise UsageError(f"no precision '{name}'; known: {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


def peak_memory() -> int | None:
    """Peak memory of this process in bytes; `None` on Windows, which does not report it."""
    if sys.platform == "win32":
        return None
    import resource

    status = Path("/proc/self/status")
    if status.exists() and (
        found := re.search(r"^VmHWM:\s+(\d+)", status.read_text(), re.MULTILINE)
    ):
        return int(found[1]) * 1024  # on Linux, the other begins with that of who started this
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


class _Exactness:
    """Switches TF32 off while any thread wants exact float32."""

    def __init__(self) -> None:
        self._lock, self._users, self._before = Lock(), 0, (False, False)

    def enter(self) -> None:
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        with self._lock:
            if not self._users:
                self._before = cudnn.allow_tf32, matmul.allow_tf32
                cudnn.allow_tf32 = matmul.allow_tf32 = False
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
                cudnn.allow_tf32, matmul.allow_tf32 = self._before


_EXACT = _Exactness()


@contextmanager
def exactly(precision: torch.dtype) -> Iterator[None]:
    """Let float32 mean float32 on CUDA within the block; other precisions are unaffected.

    By default cuDNN's convolutions round their inputs to 10 bits (TF32), which leaves errors near
    1e-3. The switches are global to the process, so the last thread to leave restores them.
    """
    if precision != torch.float32:
        yield
        return
    _EXACT.enter()
    try:
        yield
    finally:
        _EXACT.leave()


def keep_freed_memory() -> None:
    """Let this process keep the memory of large tensors that it frees, for the next ones.

    glibc returns it at once by default, so that every map pays for fresh pages. Other C libraries
    are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for parameter, value in MALLOC:
        libc.mallopt(parameter, value)


def batch_size(device: torch.device, *, on_cpu: int = CPU_BATCH) -> int:
    """The default batch size on a device, in frames; a model may have another one on a CPU."""
    return on_cpu if device.type == "cpu" else ACCELERATOR_BATCH


def beside(device: torch.device, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, copied and computed while a GPU goes on with what it has begun.

    On CUDA this is a stream of its own, for which the calling thread waits.
    """
    if device.type != "cuda":
        return make()
    stream = _second_stream(device)
    with torch.cuda.stream(stream):
        found = make()
    stream.synchronize()
    # or its memory could be given away while the network still reads it
    found.record_stream(torch.cuda.default_stream(device))
    return found


@lru_cache
def _second_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class OutOfMemoryError(Exception):
    """A step did not fit into memory; the message is the first line of the original error."""


@contextmanager
def reporting_shortage() -> Iterator[None]:
    """Raise `OutOfMemoryError` instead of any of the errors that mean it.

    Leave the handler of that error before retrying: until then, its context holds the tensors that
    filled the memory.
    """
    try:
        yield
    except Exception as error:
        if _is_shortage(error):
            raise OutOfMemoryError(str(error).partition("\n")[0]) from None
        raise


def _is_shortage(error: Exception) -> bool:
    if isinstance(error, RuntimeError) and any(text in str(error) for text in SHORTAGES):
        return True
    return isinstance(error, torch.OutOfMemoryError | MemoryError)


def to_channels_last(network: nn.Module) -> nn.Module:
    """The network with its 2-D convolutions laid out as is fastest; `to` would refuse 3-D ones."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
