"""What a GPU computes, beside the CPU; skipped where there is none."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from PIL import Image

from salcli.inputs import IMAGENET, resized
from salcli.models.loading import load_model
from salcli.prediction import loop
from salcli.types import Stimulus

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

GPU = torch.device("cuda:0")

CASES = [
    ("unisal:open", {}, "stills", 1e-4),
    ("unisal:open", {"domain": "SALICON"}, "clips", 1e-4),
    ("unisal", {}, "clips", 1e-4),
    ("salema", {"input_size": (96, 128)}, "clips", 5e-4),
    ("stsnet", {"input_size": (96, 128)}, "clips", 1e-4),
    ("tased", {"input_size": (64, 96)}, "clips", 5e-4),
    ("tempsal", {"input_size": 128}, "stills", 5e-4),
]


def frames(count: int, size: tuple[int, int] = (90, 160)) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    small = [random.integers(0, 256, (5, 8, 3), np.uint8) for _ in range(count)]
    return [np.asarray(Image.fromarray(each).resize(size[::-1])) for each in small]


def maps(name: str, options: dict, kind: str, **how: str) -> np.ndarray:
    loaded = load_model(name, options=options, untrained=":" not in name, offline=True, **how)
    seen = frames(40 if name == "tased" else 6)
    fps = 25.0 if kind == "clips" else None
    stimulus = Stimulus("x", seen, fps=fps, size=seen[0].shape[:2], count=len(seen))
    results = loop.run(loaded.model, stimulus, size="published", extras=False, notice=print)
    return np.stack([result.saliency for result in results])


@pytest.mark.parametrize("resampling", [Image.Resampling.BILINEAR, Image.Resampling.LANCZOS])
def test_frames_are_resized_to_the_same_input(resampling: Image.Resampling) -> None:
    for size in ((90, 160), (271, 641), (320, 180)):
        seen = frames(5, size)
        found = resized(seen, (96, 128), standardised=IMAGENET, resampling=resampling, device=GPU)
        wanted = resized(seen, (96, 128), standardised=IMAGENET, resampling=resampling)
        assert found.device.type == "cuda"
        assert torch.equal(found.cpu(), wanted)


@pytest.mark.parametrize(("name", "options", "kind", "tolerance"), CASES)
def test_maps_are_those_of_the_processor(
    name: str, options: dict, kind: str, tolerance: float
) -> None:
    found = maps(name, options, kind, device="cuda")
    wanted = maps(name, options, kind, device="cpu")
    assert np.abs(found - wanted).max() <= tolerance


def test_half_precision_of_unisal_is_near_enough_to_look_the_same() -> None:
    found = maps("unisal:open", {}, "stills", device="cuda", precision="float16")
    wanted = maps("unisal:open", {}, "stills", device="cpu")
    assert np.abs(found - wanted).max() <= 8 / 255  # these frames are noise
    assert np.abs(found - wanted).mean() <= 0.5 / 255


def test_files_hold_the_same_grey_levels(
    salcli: Callable[..., CompletedProcess[str]], clip_file: Path, tmp_path: Path
) -> None:
    for device in ("cuda", "cpu"):
        run = salcli("predict", clip_file, "--device", device, "-o", tmp_path / device)
        assert run.returncode == 0, run.stderr
    files = sorted((tmp_path / "cpu").rglob("*.png"))
    assert files
    for file in files:
        other = tmp_path / "cuda" / file.relative_to(tmp_path / "cpu")
        levels = [np.asarray(Image.open(each)).astype(int) for each in (file, other)]
        assert np.abs(levels[0] - levels[1]).max() <= 1
