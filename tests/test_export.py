"""Exported networks are used by programs that have neither salcli nor PyTorch."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

Run = Callable[..., CompletedProcess[str]]
DOCS = Path(__file__).parents[1] / "docs" / "export.md"
ALONE = "\nassert not {'torch', 'salcli'} & set(sys.modules)\n"


@pytest.fixture
def plugin(make_site: Callable[..., Path], install_plugins: Callable[..., None]) -> None:
    """A model of one convolution."""
    install_plugins(make_site("salcli_engine"))


def test_a_program_without_salcli_and_torch_makes_the_same_map(
    plugin: None, salcli: Run, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    model = ("exported", "--untrained")
    made = salcli("export", *model, "--size", "12x16", "--json", "--output", "out")
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout)
    assert found["difference"] < 1e-5
    facts = json.loads(Path(found["facts"]).read_text())
    assert facts["inputs"]["frames"]["shape"] == [3, 12, 16]
    assert facts["files"].keys() == {"exported.onnx"}
    (program,) = re.findall(r"```python export\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(program.splitlines()) <= 22
    command = [sys.executable, "-c", program + ALONE, found["file"], "photo.png", "map.png"]
    subprocess.run(command, cwd=tmp_path, check=True)
    run = salcli("predict", "photo.png", "-m", *model, "--save", "png", "--size", "published")
    assert run.returncode == 0, run.stderr
    ours = np.asarray(Image.open(tmp_path / "saliency" / "photo.png").resize((12, 16)), int)
    theirs = np.asarray(Image.open(tmp_path / "map.png").resize((12, 16)), int)
    assert np.abs(ours - theirs).max() <= 1
    assert np.ptp(theirs) > 10


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("centre",), "model 'centre' runs in PyTorch only and cannot be exported"),
        (("centre", "--batch", "0"), "0 is neither dynamic nor a whole number from 1 on"),
    ],
)
def test_what_cannot_be_exported_says_so(
    salcli: Run, arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    run = salcli("export", *arguments)
    assert run.returncode == 2
    assert complaint in run.stderr
    assert not (tmp_path / "exported").exists()
