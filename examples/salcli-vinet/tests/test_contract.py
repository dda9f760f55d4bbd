"""ViNet fulfils the contract of a model, at a small, fast size."""

from salcli.testing import check_model


def test_the_model_keeps_the_contract() -> None:
    check_model("vinet", options={"input_size": (32, 32)})
