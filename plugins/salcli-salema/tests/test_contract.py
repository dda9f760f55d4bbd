"""SalEMA fulfils the contract of a model, at a small, fast size."""

from salcli.testing import check_model


def test_the_model_keeps_the_contract() -> None:
    # in the other mode, its kernels would be transformed anew for each of some forty stimuli
    check_model("salema", options={"input_size": (32, 32), "mode": "frames"})
