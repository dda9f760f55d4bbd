"""The folder of a run: whose it is, and what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from salcli.errors import UsageError, WeightsError
from salcli.files import checkpoint
from salcli.training.rundir import differences

from .conftest import Fit


def test_other_settings_are_refused_by_name(fit: Fit, tmp_path: Path) -> None:
    fit("tiny", output=tmp_path, epochs=1)
    with pytest.raises(UsageError, match=r"other settings \(recipe\.epochs, recipe\.seed\)"):
        fit("tiny", output=tmp_path, epochs=2, seed=8)
    kept = (tmp_path / "best.safetensors").read_bytes()
    (tmp_path / "last.pt").unlink()
    with pytest.raises(UsageError, match=r"best\.safetensors of another training"):
        fit("tiny", output=tmp_path, epochs=1)
    assert (tmp_path / "best.safetensors").read_bytes() == kept
    assert differences({"a": {"b": 1}, "c": [1]}, {"a": {"b": 2}, "c": (1,)}) == ["a.b"]


@pytest.mark.parametrize("content", [{"epoch": 1}, {"metadata": "no JSON"}])
def test_a_damaged_state_is_named(fit: Fit, tmp_path: Path, content: dict[str, Any]) -> None:
    checkpoint.save_training(tmp_path / "last.pt", content)
    with pytest.raises(WeightsError, match=r"last\.pt' is not a state of this training"):
        fit("tiny", output=tmp_path)
