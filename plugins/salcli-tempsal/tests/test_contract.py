"""TempSAL fulfils the contract of a model, at a small, fast size."""

from salcli.testing import check_model


def test_the_model_keeps_the_contract() -> None:
    check_model("tempsal", options={"network": "slices", "input_size": 32})
