"""ViNet fulfils the contract of a model, at a small, fast size."""

import pytest

from salcli.testing import check_model


@pytest.mark.endurance
def test_the_model_keeps_the_contract() -> None:
    check_model("vinet", options={"input_size": (32, 32)})
