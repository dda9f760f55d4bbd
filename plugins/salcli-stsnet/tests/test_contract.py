"""STSNet keeps the contract of a model, at a size that is fast."""

from salcli.testing import check_model


def test_the_model_keeps_the_contract() -> None:
    check_model("stsnet", options={"input_size": (16, 20)})
