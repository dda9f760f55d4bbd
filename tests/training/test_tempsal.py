"""TempSAL's own recipe for slices of viewing time on a miniature, interrupted and gone on with.

Its smallest network has 112 million parameters, so that its last state takes 1.3 GB.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.endurance
def test_tempsal(
    goes_on: Callable[..., None],
    miniature: Callable[[str], Path],
    salcli: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    """The slice branch from a start at random: its decoder, then its encoder too."""
    root = Path(shutil.copytree(miniature("salicon"), tmp_path / "salicon"))
    done = salcli("tempsal", "slices", root / "fixations", "-o", root, "--slicing", "5", "-q")
    assert done.returncode == 0, done.stderr
    goes_on(
        *("--model", "tempsal", "-O", "network=slices", "-O", "slices=2", "-O", "input_size=32"),
        *("-D", "slices=2", "--batch-size", "3", "--train-cnn-after", "1"),
        SALICON_DATA_DIR=str(root),
    )
