"""Devices and precisions by name."""

import subprocess
import sys

import pytest
import torch

from salcli import devices
from salcli.errors import UsageError
from salcli.models.loading import create


def test_the_processor_is_always_there() -> None:
    assert devices.available()[-1] == "cpu"
    assert devices.choose("cpu") == torch.device("cpu")
    assert str(devices.choose("auto")) == devices.available()[0]


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "", "CPU", "cpu:1"])
def test_an_unknown_device_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(UsageError, match=rf"no device '{name}' .*cpu"):
        devices.choose(name)


def test_metrics_run_on_gpus_that_have_double_precision_and_in_numpy_elsewhere() -> None:
    assert devices.for_metrics("cpu") is None
    best = devices.available()[0]
    expected = torch.device(best) if best.startswith("cuda") else None
    assert devices.for_metrics("auto") == expected


def test_precisions() -> None:
    assert devices.precision("auto") is torch.float32
    assert devices.precision("bfloat16") is torch.bfloat16
    assert devices.precision("float16") is torch.float16
    with pytest.raises(UsageError, match="float32"):
        devices.precision("float64")


def test_accelerators_take_more_frames_at_once() -> None:
    assert devices.batch_size(torch.device("cpu")) >= 1
    assert devices.batch_size(torch.device("cpu")) < devices.batch_size(torch.device("cuda"))


def test_float32_means_float32_in_the_block_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)

    def switches() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = switches()

    with devices.exactly(torch.bfloat16):
        assert switches() == before
    with devices.exactly(torch.float32):
        assert switches() == (False, False)
    assert switches() == before
    create("centre", defaults={}).to(torch.device("cpu"), torch.float32)
    assert switches() == before


def test_memory_of_the_process_is_known_where_the_system_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (devices.peak_memory() or 0) > 10_000_000
    monkeypatch.setattr("sys.platform", "win32")
    assert devices.peak_memory() is None


@pytest.mark.endurance
def test_memory_of_the_process_that_started_it_does_not_count() -> None:
    own = "from salcli.devices import peak_memory; print(peak_memory())"
    large = f"""
import os, sys
block = b"x" * 2_000_000_000
os.execv(sys.executable, [sys.executable, "-c", {own!r}])
"""
    run = subprocess.run([sys.executable, "-c", large], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1_500_000_000


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    ],
)
def test_what_libraries_of_a_gpu_say_of_short_memory_is_known(text: str) -> None:
    with pytest.raises(devices.OutOfMemoryError, match="FAILED"), devices.reporting_shortage():
        raise RuntimeError(text)
