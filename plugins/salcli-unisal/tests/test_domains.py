"""Which domain and which rules are used, by default and when they are given."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_unisal.model import Unisal

from salcli import Stimulus
from salcli.authoring import create

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("name", "options", "domain", "rules"),
    [
        ("dhf1k", {}, "DHF1K", "DHF1K"),
        ("hollywood2", {}, "Hollywood", "Hollywood"),
        ("ucfsports", {}, "UCFSports", "UCFSports"),
        ("salicon", {}, "SALICON", "SALICON"),
        ("mit1003", {}, "SALICON", "SALICON"),
        ("mit300", {}, "SALICON", "SALICON"),
        ("diem", {}, "auto", "auto"),
        ("ucfsports", {"domain": "DHF1K"}, "DHF1K", "UCFSports"),
        ("ucfsports", {"rules": "DHF1K"}, "UCFSports", "DHF1K"),
        ("ucfsports", {"sources": ("SALICON",)}, "SALICON", "UCFSports"),
        ("ucfsports", {"sources": ("DHF1K", "SALICON")}, "auto", "UCFSports"),
    ],
)
def test_a_dataset_has_its_domain_and_rules(
    name: str, options: dict[str, Any], domain: str, rules: str
) -> None:
    model = create("unisal", options=options, defaults={})
    assert isinstance(model, Unisal)
    decided = model.for_dataset(name).options
    assert (decided.domain, decided.rules) == (domain, rules)
    assert model.options.domain == options.get("domain", "auto")


@pytest.mark.parametrize(
    ("options", "fps", "frame", "size"),
    [
        ({}, 30.0, (360, 640), (224, 384)),
        ({}, None, (360, 640), (256, 416)),
        ({"domain": "Hollywood"}, 30.0, (360, 640), (224, 384)),
        ({"domain": "UCFSports"}, None, (480, 640), (288, 384)),
        ({"rules": "UCFSports"}, None, (480, 640), (256, 384)),
        ({"rules": "SALICON"}, 30.0, (360, 640), (256, 416)),
    ],
)
def test_the_input_size_follows_the_stimulus_or_the_rules(
    options: dict[str, Any], fps: float | None, frame: tuple[int, int], size: tuple[int, int]
) -> None:
    model = create("unisal", options=options, defaults={})
    assert isinstance(model, Unisal)
    decided = model.for_stimulus(Stimulus("s", (), fps=fps, size=frame))
    assert decided.preprocess([np.zeros((*frame, 3), np.uint8)]).shape[-2:] == size


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_still_in_a_domain_of_video_is_a_clip_of_one_frame(
    batch_size: int, unisal_sw1: Callable[..., None]
) -> None:
    """As in the original: the recurrence begins anew with each still."""
    model = create("unisal", options={"domain": "DHF1K"}, defaults={})
    assert isinstance(model, Unisal)
    unisal_sw1(model.network)
    model.network.eval()
    model.batch_size = batch_size
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(7)]
    stills = Stimulus("s", frames, size=(64, 64))
    with torch.inference_mode():
        maps = [prediction.saliency for prediction in model.predict(stills)]
        inputs = model.preprocess(frames)[:, None]
        alone, _ = model.network(inputs, domain="DHF1K", static=False, size=(64, 64))
    for saliency, log_density in zip(maps, alone[:, 0, 0], strict=True):
        expected = (log_density - log_density.max()).exp()
        torch.testing.assert_close(saliency, expected, rtol=0, atol=1e-4)


def test_the_commands_take_the_domain_of_the_dataset(
    salcli: Run, part: Callable[..., Path], weights: Path, tmp_path: Path
) -> None:
    root = part("ucfsports", "testing/Golf-Swing-Back-001/*/*_00[12].png")
    data = ("--data", "ucfsports", "--root", root, "--device", "cpu")
    own = ("--model", "unisal", "--weights", weights)
    found = {}
    for asked in ("", "UCFSports", "Hollywood"):
        words = ["-O", f"domain={asked}", "--overwrite"] if asked else []
        done = salcli("score", *data, *own, *words, "--metrics", "KLD", "--baselines", "none")
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / "scores").glob("*/scores.json")
        report = json.loads(path.read_text())
        assert report["predictions"]["options"]["domain"] == (asked or "UCFSports")
        found[asked] = report["scores"]["KLD"]["frames"]["mean"]
    assert found[""] == found["UCFSports"] != found["Hollywood"]
    done = salcli("predict", *data, *own, "-o", tmp_path / "maps")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "maps" / "Golf-Swing-Back-001" / "salcli.json").read_text())
    assert record["settings"]["options"]["domain"] == "UCFSports"
