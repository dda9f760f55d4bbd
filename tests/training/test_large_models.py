"""SalEMA's and STSNet's own recipes on miniatures, interrupted and gone on with."""

from collections.abc import Callable
from pathlib import Path


def test_salema(goes_on: Callable[..., None], miniature: Callable[[str], Path]) -> None:
    """Whole clips, and two steps for the longest of them."""
    goes_on(
        *("--model", "salema", "-O", "input_size=16,16", "--lr", "1e-4"),
        DHF1K_DATA_DIR=str(miniature("dhf1k")),
    )


def test_stsnet(goes_on: Callable[..., None], miniature: Callable[[str], Path]) -> None:
    """A stream that sees flow, with Caffe's optimiser."""
    goes_on(
        *("--model", "stsnet", "-O", "net=tsnet", "-O", "input_size=32,32", "--hold-out", "2"),
        *("--batch-size", "1", "--epoch-steps", "3", "--lr", "1e-5"),
        DIEM_DATA_DIR=str(miniature("diem")),
    )
