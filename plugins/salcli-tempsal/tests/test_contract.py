"""TempSAL fulfils the contract of a model, at a small, fast size."""

from salcli.testing import check_model


def test_the_model_keeps_the_contract() -> None:
    options = {"network": "slices", "encoder": "pnasnet5", "input_size": 32}
    check_model("tempsal", options=options)
