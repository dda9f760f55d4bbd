"""UNISAL fulfils the contract of a model."""

import pytest

from salcli.testing import check_model


@pytest.mark.endurance
def test_the_model_keeps_the_contract() -> None:
    # of stills, the rules change nothing but the size; so one of them is enough
    check_model("unisal", options={"rules": "auto"})
