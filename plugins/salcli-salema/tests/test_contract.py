"""SalEMA fulfils the contract of a model, at a small, fast size."""

import pytest

from salcli.testing import check_model


@pytest.mark.endurance
def test_the_model_keeps_the_contract() -> None:
    # in the other mode, its kernels would be transformed anew for each of some forty stimuli
    size = (32, 32)
    # dropout is left as it is, since one of its values makes maps random
    check_model("salema", options={"input_size": size, "mode": "frames", "dropout": "training"})
