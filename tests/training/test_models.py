"""Each model's own recipe on miniatures of its published data, interrupted and gone on with.

SalEMA and STSNet, which write much, are in a file of their own, and so is TempSAL, which writes
gigabytes.
"""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.endurance
def test_unisal(goes_on: Callable[..., None], miniature: Callable[[str], Path]) -> None:
    goes_on(
        *("--model", "unisal", "--recipe", "published", "--clip-length", "2", "--clip-stride", "2"),
        *("--batch-size", "3", "--lr", "0.01", "--evaluate", "none"),
        DHF1K_DATA_DIR=str(miniature("dhf1k")),
        HOLLYWOOD_DATA_DIR=str(miniature("hollywood2")),
        UCFSPORTS_DATA_DIR=str(miniature("ucfsports")),
        SALICON_DATA_DIR=str(miniature("salicon")),
    )


@pytest.mark.endurance
def test_tased_net(goes_on: Callable[..., None], miniature: Callable[[str], Path]) -> None:
    goes_on(
        *("--model", "tased", "-O", "input_size=32,64", "-O", "clip_length=16"),
        *("--batch-size", "3", "--accumulation", "1", "--epoch-steps", "3", "--lr", "4"),
        DHF1K_DATA_DIR=str(miniature("dhf1k_long")),
    )
