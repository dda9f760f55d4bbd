"""SalEMA through the installed command: goldens end to end, layouts, errors, feature maps."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_salema import SALEMA
from salcli_salema.filters import maximised
from salcli_salema.model import Salema
from salcli_salema.network import SalEMA
from salcli_salema.sheet import GREY, draw, save
from torch import Tensor, nn

from salcli import OutputError, UsageError
from salcli.authoring import IMAGENET, Checkpoint, parse_options

Golden = Callable[[str], tuple[dict[str, Any], dict[str, np.ndarray]]]
Publish = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]
Weights = Mapping[str, Tensor]

SMALL = ("-O", "input_size=32,48", "-O", "mode=frames")
"""Options that skip preparing kernels, which takes most of the time for a few small frames."""


def save_frames(folder: Path, frames: np.ndarray | list[np.ndarray], digits: int = 4) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / f"{number:0{digits}d}.png")
    return folder


def noise(count: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return list(random.integers(0, 256, (count, 36, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "count", "full", "grey"),
    [
        ("ema30_e2e_carphone", 5, (0,), (0,)),
        pytest.param("clstm30_e2e_bikes", 2, (1,), (0, 1), marks=pytest.mark.endurance),
    ],
)
def test_frames_to_maps_equal_the_original(
    name: str,
    count: int,
    full: tuple[int, ...],
    grey: tuple[int, ...],
    golden: Golden,
    published: Publish,
    ema_state: Weights,
    clstm30_state: Weights,
    salcli: Run,
    tmp_path: Path,
) -> None:
    """The first frames of a clip, in chunks across which the state is carried on."""
    described, arrays = golden(name)
    limit = described["tolerance"]["map_float_max_abs"]
    state = clstm30_state if "clstm" in name else ema_state
    weights = published("any-name.pt" if "clstm" in name else "other-name.pt", state)
    save_frames(tmp_path / "clip", arrays["frames_rgb"][:count])
    ran = salcli(
        *("predict", "clip", "--model", "salema", "--weights", weights, "--size", "published"),
        *("--save", "npy", "--save", "png", "-o", "out"),
    )
    assert ran.returncode == 0, ran.stderr
    out = tmp_path / "out" / "clip"
    maps = np.stack([np.load(out / f"{i + 1:04d}.npy") for i in range(count)])
    strided = arrays["map_float_strided4"][:count]
    np.testing.assert_allclose(maps[:, ::4, ::4], strided, rtol=0, atol=limit)
    whole = arrays["map_float_full"][: len(full)]
    np.testing.assert_allclose(maps[list(full)], whole, rtol=0, atol=limit)
    for wanted, index in zip(arrays["map_u8_full"][: len(grey)], grey, strict=True):
        written = np.asarray(Image.open(out / f"{index + 1:04d}.png")).astype(int)
        assert np.abs(written - wanted).max() <= described["tolerance"]["map_u8_max_level_diff"]
        assert np.array_equal(written, np.floor(255 * maps[index] + np.float32(0.5)))
    options = json.loads((out / "salcli.json").read_text())["settings"]["options"]
    assert options["variant"] == ("clstm30" if "clstm" in name else "ema")
    assert options["alpha_logit"] == (None if "clstm" in name else 0.1)


def test_a_file_tells_its_variant_before_it_is_loaded(
    published: Publish, clstm30_state: Weights
) -> None:
    """So that a training from it has the recipes of its variant."""
    saved = Salema.read(published("any-name.pt", clstm30_state))
    assert saved.options == {"variant": "clstm30"}


@pytest.mark.parametrize("layout", ["dhf1k", "hollywood2"])
def test_layouts_of_the_original_are_inputs(
    layout: str, salcli: Run, published: Publish, ema_state: Weights, tmp_path: Path
) -> None:
    """DHF1K's `frames/<v>/<n>.png`, and Hollywood-2's `<video>/images/*` with other names."""
    weights, more = published("ema.pt", ema_state), ()
    if layout == "dhf1k":
        root, names, labels = tmp_path / "frames", ["1", "2", "10"], ["1", "2"]
        for name in names:
            save_frames(root / name, noise(2, seed=int(name)), digits=1)
    else:
        root, names = tmp_path / "testing", ["actioncliptest00474_5", "actioncliptest00475_12"]
        labels, more = ["x_00001", "x_00002"], ("--as", "clip")
        for name in names:
            save_frames(root / name / "images", noise(2), digits=5)
            for file in (root / name / "images").iterdir():
                file.rename(file.with_name(f"x_{file.name}"))
    ran = salcli("predict", root, "-m", "salema", "--weights", weights, *SMALL, *more, "-o", "out")
    assert ran.returncode == 0, ran.stderr
    for name in names:
        record = json.loads((tmp_path / "out" / name / "salcli.json").read_text())
        assert (record["kind"], record["frames"], record["labels"]) == ("clip", 2, labels)
        with Image.open(tmp_path / "out" / name / f"{labels[1]}.png") as written:
            assert written.size == (64, 36)


class Malice:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code in a pickle ran",)


@pytest.mark.parametrize("fault", ["missing", "foreign", "code", "text"])
def test_bad_weights_end_with_one_clear_line(
    fault: str, salcli: Run, ema_state: Weights, tmp_path: Path
) -> None:
    save_frames(tmp_path / "clip", noise(1))
    path = tmp_path / "SalEMA30.pt"
    state: dict[str, Any] = {f"module.{key}": value for key, value in ema_state.items()}
    match fault:
        case "missing":
            del state["module.salgan.60.bias"]
            complaint = "1 missing keys: salgan.60.bias"
        case "foreign":
            state, complaint = {"features.0.weight": torch.zeros(3)}, "54 missing keys"
        case "code":
            state, complaint = {"a": Malice()}, "needs arbitrary pickle code"
        case _:
            complaint = "is not a weights file"
    if fault == "text":
        path.write_text("<html>")
    else:
        torch.save({"epoch": 8, "state_dict": state}, path, _use_new_zipfile_serialization=False)
    ran = salcli("predict", "clip", "-m", "salema", "--weights", path, "-o", "out")
    assert ran.returncode == 3
    loading, told = ran.stderr.splitlines()
    assert loading == "loading salema ..."
    assert told.startswith("salcli: error: ")
    assert "SalEMA30.pt" in ran.stderr
    assert complaint in ran.stderr
    assert "code in a pickle ran" not in ran.stdout
    assert not (tmp_path / "out").exists()


def test_card_says_what_there_is(salcli: Run) -> None:
    card = salcli("models", "salema").stdout
    for text in (
        "31.79 million",
        "39.95 billion",
        "linardos2019simple",
        "NSS 2.574",
        "alpha_logit",
    ):
        assert text in card
    for tag in ("salema30", "salclstm30", "salbce", "salgan"):
        assert tag in card


def test_feature_maps_of_a_layer_become_a_sheet(
    salcli: Run, published: Publish, ema_state: Weights, tmp_path: Path
) -> None:
    save_frames(tmp_path / "clip", noise(3))
    weights = published("ema.pt", ema_state)
    ran = salcli("salema", "features", "clip", "--layer", "16", "--weights", weights, *SMALL)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "clip.layer16.png: 256 maps of 6x4, layer 16, frame 1\n"
    sheet = np.asarray(Image.open(tmp_path / "clip.layer16.png"))
    assert sheet.shape == (20 * 5 - 1, 13 * 7 - 1)
    assert (sheet[4] == GREY).all()
    first = sheet[:4, :6]
    assert (first.min(), first.max()) == (0, 255)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--layer", "62"), "less than or equal to 61"),
        (("--layer", "30", "-m", "unisal"), "only salema's layers can be drawn"),
    ],
)
def test_wrong_requests_for_a_sheet_are_refused(
    arguments: tuple[str, ...], complaint: str, salcli: Run
) -> None:
    ran = salcli("salema", "features", "clip", *arguments)
    assert ran.returncode == 2
    assert complaint in ran.stderr


def test_filters_are_drawn_as_published(
    salcli: Run, published: Publish, ema_state: Weights, tmp_path: Path
) -> None:
    """The steps of the published script, one filter at a time; and the files that it writes."""
    weights = published("ema.pt", ema_state)
    command = ("salema", "filters", "--layer", "7", "--filter", "5", "--filter", "50", "--size")
    ran = salcli(*command, "32", "--steps", "3", "--every", "2", "--weights", weights)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "filters/layer_vis_l7.jpg: filters 5, 50 of layer 7\n"
    names = [f"layer_vis_l7_f{number}_iter{step}.jpg" for number in (5, 50) for step in (2, 3)]
    folder = tmp_path / "filters" / "salema-with-ema.pt"
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    with Image.open(tmp_path / "filters" / "layer_vis_l7.jpg") as sheet:
        assert sheet.size == (64, 32)

    network = SalEMA((), weights=())
    network.load_state_dict(dict(ema_state))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in IMAGENET)
    noise = np.random.default_rng(0).uniform(150, 180, (32, 32, 3)).astype(np.uint8)
    x = ((torch.from_numpy(noise).permute(2, 0, 1) / 255 - mean) / std)[None].requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.1, weight_decay=1e-6)
    layers = nn.Sequential(*list(network.salgan)[:8])
    for _ in range(3):
        optimiser.zero_grad()
        loss = -layers(x)[0, 50].mean()
        loss.backward()
        optimiser.step()
    model = Salema(SALEMA, parse_options(SALEMA, [], defaults={}))
    model.load(Checkpoint(ema_state, weights))
    ((_, found),) = maximised(model, 7, [5, 50], size=32, steps=3, every=3)
    wanted = (x.detach()[0] * std + mean).clamp(0, 1).mul(255).round()
    np.testing.assert_allclose(found[1], wanted.permute(1, 2, 0).numpy(), rtol=0, atol=1)
    assert np.abs(found[1].astype(int) - noise).max() > 5
    with pytest.raises(UsageError, match="no filter 128 in layer 7: its filters are 0 to 127"):
        next(maximised(model, 7, [128], size=32, steps=1, every=1))


def test_a_sheet_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save(tmp_path / "file" / "sheet.png", torch.zeros(1, 2, 2))


def test_sheet_of_one_map_is_the_map() -> None:
    maps = torch.linspace(-1, 1, 12).reshape(1, 3, 4)
    sheet = draw(maps)
    assert sheet.shape == (3, 4)
    assert sheet[0, 0] == 0
    assert sheet[2, 3] == 255
