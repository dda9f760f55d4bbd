"""SalEMA's and STSNet's own recipes on miniatures, interrupted and gone on with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from salcli.training.prepare import TrainingRequest, prepare


@pytest.mark.endurance
def test_salema(goes_on: Callable[..., None], miniature: Callable[[str], Path]) -> None:
    """Whole clips, and two steps for the longest of them."""
    goes_on(
        *("--model", "salema", "-O", "input_size=16,16", "--lr", "1e-4"),
        DHF1K_DATA_DIR=str(miniature("dhf1k")),
    )


@pytest.mark.endurance
def test_stsnet(goes_on: Callable[..., None], miniature: Callable[[str], Path]) -> None:
    """A stream that sees flow, with Caffe's optimiser."""
    goes_on(
        *("--model", "stsnet", "-O", "net=tsnet", "-O", "input_size=32,32", "--hold-out", "2"),
        *("--batch-size", "1", "--epoch-steps", "3", "--lr", "1e-5"),
        DIEM_DATA_DIR=str(miniature("diem")),
    )


@pytest.mark.parametrize(("given", "size"), [((), (240, 320)), (("input_size=16,20",), (16, 20))])
def test_stsnet_trains_at_the_paper_s_size(
    given: tuple[str, ...], size: tuple[int, int], miniature: Callable[[str], Path]
) -> None:
    """Prediction is at the script's; a file that was trained says what it needs."""
    request = TrainingRequest(
        "stsnet",
        options=("net=ssnet", *given),
        data=(f"diem={miniature('diem')}",),
        data_options=("hold_out=2",),
        device="cpu",
    )
    training = prepare(request)
    assert training.model.options.input_size == size
    assert training.metadata["options"]["input_size"] == size
