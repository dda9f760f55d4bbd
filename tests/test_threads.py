"""Several threads at once: switches of the process, redirected output, predictions."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import salcli
from salcli.devices import exactly
from salcli.plugins import loader, registry
from salcli.stream import on_one_core, one_core, prefetch


def test_exact_float32_holds_until_the_last_thread_leaves() -> None:
    switches = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [each.allow_tf32 for each in switches]
    try:
        for each in switches:
            each.allow_tf32 = True
        first, second = exactly(torch.float32), exactly(torch.float32)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert [each.allow_tf32 for each in switches] == [False, False]
        second.__exit__(None, None, None)
        assert [each.allow_tf32 for each in switches] == [True, True]
    finally:
        for each, value in zip(switches, before, strict=True):
            each.allow_tf32 = value


def test_the_user_chooses_how_many_cores_the_network_uses(
    salcli: Callable[..., subprocess.CompletedProcess[str]],
    clip_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = torch.get_num_threads()
    try:
        run = salcli("predict", clip_file, "--model", "centre", "--threads", "1")
        assert run.returncode == 0, run.stderr
        assert torch.get_num_threads() == 1
        assert os.environ["OMP_NUM_THREADS"] == "1"  # for the processes that it starts
    finally:
        torch.set_num_threads(before)


def test_threads_that_load_plugins_give_stdout_back(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    stdout, inside, after = sys.stdout, threading.Event(), threading.Event()

    def slow() -> None:
        with loader._guarded():
            inside.set()
            after.wait(1)

    def fast() -> None:
        inside.wait()
        threading.Timer(0.1, after.set).start()
        with loader._guarded():
            pass

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(slow), pool.submit(fast)]:
            done.result()

    assert sys.stdout is stdout


PREDICT = """
import sys, numpy, salcli
(result,) = salcli.predict(numpy.load(sys.argv[1]), model="spectral-residual", device="cpu")
numpy.save(sys.argv[2], result.saliency)
"""


@pytest.mark.endurance
def test_predictions_of_several_processes_are_those_of_one(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 40, 60, 3), np.uint8)
    processes = []
    for number, frame in enumerate(frames):
        given, written = tmp_path / f"{number}.npy", tmp_path / f"map{number}.npy"
        np.save(given, frame)
        processes.append(subprocess.Popen([sys.executable, "-c", PREDICT, given, written]))

    assert [process.wait() for process in processes] == [0] * len(frames)

    for number, frame in enumerate(frames):
        (result,) = salcli.predict(frame, model="spectral-residual", device="cpu")
        assert np.array_equal(np.load(tmp_path / f"map{number}.npy"), result.saliency)


@pytest.mark.usefixtures("fakes")
def test_predictions_of_several_threads_are_those_of_one() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 16, 20, 3), np.uint8)
    registry._models.cache_clear()
    model = salcli.load_model("brightness", device="cpu")

    def predicted(frame: np.ndarray) -> np.ndarray:
        (result,) = salcli.predict(frame, model=model)
        return result.saliency

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(predicted, frames))

    for frame, saliency in zip(frames, together, strict=True):
        assert np.array_equal(saliency, predicted(frame))


def test_a_background_thread_computes_on_one_core_if_it_is_asked_to() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        asked = (torch.get_num_threads() for _ in range(2))
        assert list(prefetch(on_one_core(asked))) == [1, 1]
        assert list(prefetch(torch.get_num_threads() for _ in range(2))) == [3, 3]
        assert torch.get_num_threads() == 3
        with one_core():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
