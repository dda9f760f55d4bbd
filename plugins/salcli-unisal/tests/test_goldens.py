"""UNISAL against the goldens of the original code, from the network's input and from RGB frames."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_unisal import DOMAINS, Options, backbone
from salcli_unisal.model import Unisal, best_size, input_size
from salcli_unisal.network import UNISAL, smooth_upsampled
from torch import nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2

from salcli import Stimulus, UsageError, WeightsError, load_model
from salcli.authoring import IMAGENET, Checkpoint, create
from salcli.testing import use_engine

GOLDENS = Path(__file__).parent / "goldens"
LOG_DENSITY, INTERMEDIATE = 1e-4, 2e-4
"""Absolute tolerances that the goldens state."""

Sw1 = Callable[..., None]
Run = Callable[..., subprocess.CompletedProcess[str]]


def golden(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    arrays = GOLDENS / f"{name}.npz"
    described = json.loads((GOLDENS / f"{name}.json").read_text())
    return described, dict(np.load(arrays)) if arrays.exists() else {}


def cases(name: str) -> list:
    return [pytest.param(name, case, id=case["tag"]) for case in golden(name)[0]["cases"]]


@pytest.mark.parametrize(("name", "case"), [*cases("net_domains"), *cases("net_variants")])
def test_network_equals_the_original(
    name: str, case: dict, unisal_sw1: Sw1, golden_input: Callable[..., torch.Tensor]
) -> None:
    described, arrays = golden(name)
    network = UNISAL(**case["model_kwargs"]).eval()
    assert len(network.state_dict()) == case["state_dict_entries"]
    assert sum(p.numel() for p in network.parameters()) == case["parameters"]
    unisal_sw1(network)
    call = dict(case["forward_kwargs"])
    how = {"domain": call["source"], "static": call.get("static"), "size": call.get("target_size")}
    x = golden_input((case["B"], case["T"], described["H"], described["W"]), case["ph"])
    chunks = x.split(2, dim=1) if case["two_chunks_with_carried_hidden"] else [x]
    state, outputs = None, []
    with torch.inference_mode():
        for chunk in chunks:
            output, state = network(chunk, state, **how)
            outputs.append(output)
    log_density = torch.cat(outputs, dim=1)[:, :, 0].numpy()
    np.testing.assert_allclose(log_density, arrays[f"logp_{case['tag']}"], rtol=0, atol=LOG_DENSITY)
    hidden = arrays.get(f"hidden_{case['tag']}_sub")
    if hidden is not None:
        np.testing.assert_allclose(state[:, ::16].numpy(), hidden, rtol=0, atol=INTERMEDIATE)


def test_state_dict_keys_are_the_published_ones() -> None:
    lines = (GOLDENS / "keys.tsv").read_text().splitlines()[1:]
    published = {line.split("\t")[0]: line.split("\t")[1] for line in lines}
    ours = {
        key: "x".join(map(str, tensor.shape)) or "scalar"
        for key, tensor in UNISAL().state_dict().items()
    }
    assert ours == published


def make(
    unisal_sw1: Sw1, *, salt: str = "", options: dict | None = None, engine: str = "torch"
) -> Unisal:
    model = create("unisal", options=options or {}, defaults={})
    assert isinstance(model, Unisal)
    unisal_sw1(model.network, salt=salt)
    model.network.eval()
    if engine != "torch":
        pytest.importorskip(engine)
        model.freeze()
        use_engine(model, engine, digest=None)
    return model


def predict(model: Unisal, frames: list[np.ndarray], fps: float | None) -> list[np.ndarray]:
    stimulus = Stimulus("golden", frames, fps=fps, size=frames[0].shape[:2])
    with torch.inference_mode():
        return [prediction.saliency.numpy() for prediction in model.predict(stimulus)]


def assert_map_equals(
    saliency: np.ndarray, map_8bit: np.ndarray, log_density: np.ndarray, step: int
) -> None:
    ours = np.log(saliency / saliency.sum(dtype=np.float64))[::step, ::step]
    np.testing.assert_allclose(ours, log_density, rtol=0, atol=LOG_DENSITY)
    difference = np.abs(np.floor(saliency * np.float32(255)) - map_8bit.astype(np.float32))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.01


ENGINES = [pytest.param(name, marks=pytest.mark.endurance) for name in ("onnxruntime", "openvino")]
"""Each exports the networks anew, which takes a while."""

UCF_SPORTS = {"domain": "UCFSports", "rules": "UCFSports"}
CLIPS = (("video_dhf1k_bbb", {}, 8), ("video_ucfsports_carphone", UCF_SPORTS, 3))
STILLS = (("image_salicon", "", {}, 3), ("image_mit1003_finetuned", "ft:", {}, 1))


@pytest.mark.parametrize(("name", "options", "step"), CLIPS)
@pytest.mark.parametrize(
    ("engine", "batch_size"),
    [
        ("torch", 1),
        ("torch", 64),
        *(pytest.param(*each.values, 10, marks=each.marks) for each in ENGINES),
    ],
)
def test_clip_equals_the_original(
    name: str, options: dict, step: int, engine: str, batch_size: int, unisal_sw1: Sw1
) -> None:
    _, arrays = golden(name)
    model = make(unisal_sw1, options=options, engine=engine)
    model.batch_size = batch_size
    maps = predict(model, list(arrays["frames"]), 30.0)
    assert len(maps) == len(arrays["map8"])
    for saliency, map_8bit, log_density in zip(
        maps, arrays["map8"], arrays["logp_sub"], strict=True
    ):
        assert_map_equals(saliency, map_8bit, log_density, step)


@pytest.mark.parametrize(("name", "salt", "options", "step"), STILLS)
@pytest.mark.parametrize("engine", ["torch", *ENGINES])
def test_stills_equal_the_original(
    name: str, salt: str, options: dict, step: int, engine: str, unisal_sw1: Sw1
) -> None:
    described, arrays = golden(name)
    model = make(unisal_sw1, salt=salt, options=options, engine=engine)
    indices = range(len(described["images"]))
    maps = predict(model, [arrays[f"image{i}"] for i in indices], None)
    for i in indices:
        assert_map_equals(maps[i], arrays[f"map8_{i}"], arrays[f"logp_sub_{i}"], step)
        inputs = model.preprocess([arrays[f"image{i}"]])
        assert list(inputs.shape[-2:]) == described["images"][i]["net_input_size"]
        np.testing.assert_allclose(
            inputs[0, :, ::8, ::8], arrays[f"net_in_sub_{i}"], rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("name", ["video_dhf1k_bbb", "video_ucfsports_carphone"])
def test_intermediate_tensors_equal_the_original(name: str, unisal_sw1: Sw1) -> None:
    described, arrays = golden(name)
    domain = "UCFSports" if "ucf" in name else "DHF1K"
    model = make(unisal_sw1, options={"domain": domain, "rules": domain})
    frames, lanes = list(arrays["frames"]), described["options"]["frame_modulo"]
    with torch.inference_mode():
        inputs = model.preprocess(frames)
        first = model.network.cnn(inputs[:1])
        still, _, _ = model.network.encode(inputs, domain)
        states = model.network.rnn(still, None, lanes=lanes, domain=domain)
    stream = range(0, len(frames), lanes)
    expected = {
        "net_in_first_sub": inputs[0, :, ::8, ::8],
        "cnn_1x_first_sub": first[0][0, ::64],
        "cnn_2x_first_sub": first[1][0, ::16],
        "cnn_4x_first_sub": first[2][0, ::16, ::2, ::2],
        "rnn_hidden_stream0_last_sub": states[stream[-1], ::16],
    }
    if "post_cnn_first_sub" in arrays:
        expected["post_cnn_first_sub"] = still[0, ::16]
    for key, ours in expected.items():
        np.testing.assert_allclose(
            ours.numpy(), arrays[key], rtol=0, atol=INTERMEDIATE, err_msg=key
        )


def save_frames(folder: Path, frames: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / f"{number:04d}.png")
    return folder


@pytest.mark.parametrize(("name", "options", "step"), CLIPS)
def test_installed_command_equals_the_original_on_clips(
    name: str, options: dict, step: int, unisal_sw1: Sw1, salcli: Run, tmp_path: Path
) -> None:
    _, arrays = golden(name)
    network = UNISAL()
    unisal_sw1(network)
    torch.save(network.state_dict(), tmp_path / "sw1.pth", _use_new_zipfile_serialization=False)
    folder = save_frames(tmp_path / "clip", list(arrays["frames"]))
    command = ["predict", str(folder), "--model", "unisal"]
    command += ["--weights", str(tmp_path / "sw1.pth"), "--save", "npy", "--save", "png"]
    command += ["-o", str(tmp_path / "out"), "--size", "published"]
    command += [text for key, value in options.items() for text in ("-O", f"{key}={value}")]
    done = salcli(*command)
    assert done.returncode == 0, done.stderr
    for index, map_8bit in enumerate(arrays["map8"]):
        stem = tmp_path / "out" / "clip" / f"{index + 1:04d}"
        saliency = np.load(stem.with_suffix(".npy"))
        assert_map_equals(saliency, map_8bit, arrays["logp_sub"][index], step)
        written = np.asarray(Image.open(stem.with_suffix(".png")))
        assert np.array_equal(written, np.floor(saliency * np.float32(255)))


@pytest.mark.parametrize(
    ("name", "model", "salt", "step"),
    [("image_salicon", "unisal", "", 3), ("image_mit1003_finetuned", "unisal:mit1003", "ft:", 1)],
)
def test_installed_command_equals_the_original_on_stills(
    name: str, model: str, salt: str, step: int, unisal_sw1: Sw1, salcli: Run, tmp_path: Path
) -> None:
    described, arrays = golden(name)
    count = len(described["images"])
    network = UNISAL()
    unisal_sw1(network, salt=salt)
    torch.save(network.state_dict(), tmp_path / "sw1.pth")
    folder = save_frames(tmp_path / "images", [arrays[f"image{i}"] for i in range(count)])
    command = ["predict", str(folder), "--model", model]
    command += ["--weights", str(tmp_path / "sw1.pth"), "--save", "npy", "--as", "stills"]
    done = salcli(*command, "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    for index in range(count):
        saliency = np.load(tmp_path / "out" / "images" / f"{index + 1:04d}.npy")
        assert_map_equals(saliency, arrays[f"map8_{index}"], arrays[f"logp_sub_{index}"], step)


def test_input_sizes_follow_the_published_rule() -> None:
    for case in golden("net_sizes")[0]["cases"]:
        assert list(best_size(tuple(case["source"]))) == case["eval_or_folder"]
    assert input_size((360, 640), "DHF1K") == (224, 384)
    assert input_size((720, 1280), "DHF1K") == best_size((720, 1280))
    assert input_size((100, 900), "Hollywood") == (224, 416)
    assert input_size((900, 100), "UCFSports") == (256, 384)


def test_domain_is_chosen_by_the_kind_of_stimulus() -> None:
    model = create("unisal", defaults={})
    assert isinstance(model, Unisal)
    assert model.domain(clip=True) == "DHF1K"
    assert model.domain(clip=False) == "SALICON"
    reduced = Unisal(model.spec, Options(sources=("SALICON",)))
    assert reduced.domain(clip=True) == "SALICON"
    asked = Unisal(model.spec, Options(domain="UCFSports"))
    assert asked.domain(clip=False) == asked.domain(clip=True) == "UCFSports"


ABLATIONS = {
    "ds_bn_off": "ds_bn",
    "ds_adaptation_off": "ds_adaptation",
    "ds_smoothing_off": "ds_smoothing",
    "ds_gaussians_off": "ds_gaussians",
    "no_gaussians": "gaussians",
    "res_rnn_off": "bypass_rnn,res_rnn",
    "bypass_off": "bypass_rnn",
}


def test_parts_can_be_switched_off_as_in_the_ablation() -> None:
    variants = {case["tag"]: case for case in golden("net_variants")[0]["cases"]}
    assert variants.keys() - ABLATIONS.keys() == {"salicon_only"}
    for tag, off in ABLATIONS.items():
        network = create("unisal", options=[f"ablate={off}"], defaults={}).network
        assert isinstance(network, UNISAL)
        assert len(network.state_dict()) == variants[tag]["state_dict_entries"]
        assert sum(p.numel() for p in network.parameters()) == variants[tag]["parameters"]
        assert network.bypass_rnn is ("bypass_rnn" not in off)
        assert network.res_rnn is ("res_rnn" not in off)


def test_stills_go_through_the_recurrence_if_it_is_not_bypassed(unisal_sw1: Sw1) -> None:
    model = make(unisal_sw1, options={"ablate": ("bypass_rnn",)})
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (saliency,) = predict(model, [frame], None)
    with torch.inference_mode():
        inputs = model.preprocess([frame])[:, None]
        log_density, _ = model.network(inputs, domain="SALICON", static=True, size=(64, 64))
    expected = (log_density[0, 0, 0] - log_density.max()).exp()
    np.testing.assert_allclose(saliency, expected, rtol=0, atol=1e-5)
    bypassed = make(unisal_sw1)
    assert np.abs(saliency - predict(bypassed, [frame], None)[0]).max() > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        ["domain=Mars"],
        ["sources=SALICON", "domain=DHF1K"],
        ["sources=Mars"],
        ["ablate=everything"],
        ["ablate=res_rnn"],
    ],
)
def test_impossible_options_are_refused(options: list[str]) -> None:
    with pytest.raises(UsageError):
        create("unisal", options=options, defaults={})


@pytest.mark.parametrize(("name", "domain"), [("unisal", "DHF1K"), ("unisal:mit1003", "SALICON")])
def test_tag_says_what_a_file_of_one_s_own_holds(name: str, domain: str, tmp_path: Path) -> None:
    torch.save(UNISAL().state_dict(), tmp_path / "own.pth")
    loaded = load_model(name, weights_file=tmp_path / "own.pth", device="cpu")
    assert isinstance(loaded.model, Unisal)
    assert loaded.model.domain(clip=True) == domain
    assert loaded.label == "unisal with own.pth"


def test_static_domain_treats_every_frame_alone(unisal_sw1: Sw1) -> None:
    model = make(unisal_sw1, options={"domain": "SALICON"})
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(3)]
    clip = predict(model, frames, 25.0)
    for frame, saliency in zip(frames, clip, strict=True):
        np.testing.assert_allclose(predict(model, [frame], None)[0], saliency, rtol=0, atol=1e-5)


def test_smoothing_by_phases_equals_the_plain_convolution() -> None:
    torch.manual_seed(0)
    x, kernel = torch.randn(2, 1, 5, 7), torch.randn(1, 1, 41, 41)
    upsampled = F.interpolate(x, scale_factor=8, mode="nearest")
    plain = F.conv2d(F.pad(upsampled, (20,) * 4, mode="replicate"), kernel)
    torch.testing.assert_close(smooth_upsampled(x, kernel), plain, rtol=0, atol=2e-4)


def test_torchvision_weights_start_the_encoder() -> None:
    torch.manual_seed(0)
    reference = mobilenet_v2(weights=None).eval()
    network = UNISAL(("SALICON",)).eval()
    saved = Checkpoint(reference.state_dict(), Path("mobilenet.pth"))
    assert backbone.is_mobilenet(saved)
    backbone.load(network, saved, inputs_from_minus_one=False)
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(network.cnn(x)[0], reference.features(x))
    original = Checkpoint(network.cnn.state_dict(), Path("mobilenet_v2.pth.tar"))
    again = UNISAL(("SALICON",)).eval()
    backbone.load(again, original, inputs_from_minus_one=False)
    for ours, wanted in zip(again.cnn.parameters(), network.cnn.parameters(), strict=True):
        assert torch.equal(ours, wanted)


def test_same_padding_equals_tensorflow_s_rule() -> None:
    """For even sizes SAME pads one row and column at the bottom and the right only."""
    torch.manual_seed(0)
    network = UNISAL(("SALICON",), first=1).eval()
    reference = mobilenet_v2(weights=None).eval()
    backbone.load(
        network, Checkpoint(reference.state_dict(), Path("m")), inputs_from_minus_one=False
    )
    for module in reference.features.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.padding = (0, 0)
            module.register_forward_pre_hook(lambda _, x: (F.pad(x[0], (0, 1, 0, 1)),))
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(network.cnn(x)[0], reference.features(x))


def test_normalisation_is_folded_into_the_first_layer() -> None:
    torch.manual_seed(0)
    state = mobilenet_v2(weights=None).state_dict()
    state["features.0.1.running_var"] = torch.full((32,), 1 - 1e-5)
    network = UNISAL(("SALICON",), first=1).eval()
    backbone.load(network, Checkpoint(state, Path("m")), inputs_from_minus_one=True)
    pixels = torch.rand(1, 3, 32, 32)
    mean, std = map(torch.tensor, IMAGENET)
    standard = (pixels - mean[:, None, None]) / std[:, None, None]
    convolution, norm = network.cnn.features[0][0], network.cnn.features[0][1]
    with torch.inference_mode():
        ours = norm(F.conv2d(standard, convolution.weight, stride=2))
        wanted = F.conv2d(2 * pixels - 1, state["features.0.0.weight"], stride=2)
        wanted += state["features.0.1.bias"][:, None, None]
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-4)


def test_foreign_backbone_is_refused() -> None:
    saved = Checkpoint({"features.0.0.weight": torch.zeros(1)}, Path("stranger.pth"))
    with pytest.raises(WeightsError, match=r"stranger\.pth"):
        backbone.load(UNISAL(("SALICON",)), saved, inputs_from_minus_one=False)


def test_domains_of_options_are_those_of_the_network() -> None:
    assert Options().sources == DOMAINS
