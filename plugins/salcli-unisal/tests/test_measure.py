"""`salcli unisal measure`: the run time and the size of the network."""

import re
import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(("domain", "size"), [("DHF1K", "224x384"), ("SALICON", "288x384")])
def test_single_frames_are_timed_and_the_network_weighed(
    salcli: Run, domain: str, size: str
) -> None:
    run = salcli("unisal", "measure", "--domain", domain, "--frames", "2", "--device", "cpu")
    assert run.returncode == 0, run.stderr
    speed, weight = run.stdout.splitlines()
    assert speed.startswith(f"cpu, {size}, 2 frames: ")
    mean, best, worst, fps = (float(number) for number in re.findall(r"[0-9]+[.][0-9]+", speed))
    assert 0 < best <= mean <= worst
    assert fps == pytest.approx(1000 / mean, rel=0.1, abs=0.1)
    assert weight.startswith("3,714,872 parameters; state dict ")
    state, whole = (float(number) for number in re.findall(r"([0-9.]+) MB", weight))
    assert 15.3 < state < 15.7  # as the published file, in the newer format
    assert whole > state
