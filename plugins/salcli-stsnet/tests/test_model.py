"""STSNet's preprocessing and maps against the goldens and OpenCV, and combinations of options."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from salcli_stsnet import STSNET, Net, Options
from salcli_stsnet.maps import finish
from salcli_stsnet.model import Stsnet
from salcli_stsnet.network import STSNet
from salcli_stsnet.settings import Settings

from salcli import Frame, InputError, Stimulus, UsageError, WeightsError, load_model
from salcli.authoring import create

INPUT, OUTPUT, MAP = 1e-5, 1e-4, 0.02
"""Absolute tolerances; the map's is on the scale of grey levels."""

DIFFERENT = 0.01
"""Share of pixels of an 8-bit map that may be off by one."""

DEFAULT = Settings()

Filled = Callable[[Net], STSNet]
Golden = Callable[[str], tuple[dict, dict[str, np.ndarray]]]


@pytest.fixture
def make(filled: Filled) -> Callable[..., Stsnet]:
    def model(settings: Settings = DEFAULT, **options: object) -> Stsnet:
        chosen = Options(**options)
        made = Stsnet(STSNET, chosen)
        made.settings = settings
        made.network = filled(chosen.net)
        made.batch_size = 2
        return made

    return model


def picture(seed: int, size: tuple[int, int] = (30, 40)) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def maps(model: Stsnet, frames: list[Frame], fps: float | None = 25.0) -> list[np.ndarray]:
    stimulus = Stimulus("test", frames, fps=fps, size=frames[0].shape[:2], count=len(frames))
    with torch.inference_mode():
        return [prediction.saliency.numpy() for prediction in model.predict(stimulus)]


def assert_close_to_golden(ours: torch.Tensor, expected: np.ndarray, message: str = "") -> None:
    scale = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=scale, err_msg=message)


@pytest.mark.endurance
def test_every_stage_equals_the_original(make: Callable[..., Stsnet], golden: Golden) -> None:
    """Of the paper's way: a frame and its flow at the paper's size."""
    _, arrays = golden("03_stsconvnet_flow")
    model = make(input_size=(240, 320))
    network, frame = model.network, arrays["frame"]
    inputs, flows = model.preprocess([frame]), model.preprocess([arrays["flow_image"]])
    with torch.inference_mode():
        pooled, pooled_b = (
            network.convolve(inputs, 1, 1),
            network.convolve(flows, 1, 1, suffix="_b"),
        )
        both = [network.convolve(pooled, 2, 5), network.convolve(pooled_b, 2, 5, suffix="_b")]
        fused = network.conv_fuse(torch.cat(both, dim=1))
        conv9 = network.convolve(fused, 6, 9)
        output = network.upsample(conv9)
        ours = 255 * finish(output, frame.shape[:2], settings=model.settings)[0].numpy()
    np.testing.assert_allclose(inputs[0, :, ::8, ::8], arrays["net_input_sub"], rtol=0, atol=INPUT)
    assert_close_to_golden(pooled[0, :8, ::8, ::8], arrays["pool1_sub"])
    assert_close_to_golden(pooled_b[0, :8, ::8, ::8], arrays["pool1_b_sub"])
    assert_close_to_golden(fused[0, :8, ::4, ::4], arrays["fused_sub"])
    assert_close_to_golden(conv9[0, 0], arrays["conv9"])
    expected = arrays["net_output_sub"]
    np.testing.assert_allclose(output[0, 0, ::2, ::2], expected, rtol=0, atol=OUTPUT)
    np.testing.assert_allclose(ours[::2, ::2], arrays["map_float_sub"], rtol=0, atol=MAP)
    difference = np.abs(np.floor(ours) - arrays["map_u8"])
    assert difference.max() <= 1
    assert (difference > 0).mean() <= DIFFERENT


def test_large_frames_are_shrunk_as_by_the_script(
    make: Callable[..., Stsnet], golden: Golden
) -> None:
    described, arrays = golden("02_stsconvnet_script")
    inputs = make().preprocess([arrays["frame"]])
    assert list(inputs.shape[-2:]) == described["net_input_hw"]
    np.testing.assert_allclose(inputs[0, :, ::8, ::8], arrays["net_input_sub"], rtol=0, atol=INPUT)


def test_colours_come_in_blue_first(make: Callable[..., Stsnet]) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    expected = [(0 - 100) * 2 / 255, (0 - 110) * 2 / 255, (255 - 118) * 2 / 255]
    inputs = make().preprocess([red])
    torch.testing.assert_close(inputs[0, :, 0, 0], torch.tensor(expected))
    swapped = make(Settings(channels="rgb")).preprocess([red])
    assert swapped[0, 0, 0, 0] == pytest.approx((255 - 100) * 2 / 255)
    assert inputs.is_contiguous()


@pytest.mark.parametrize(
    ("settings", "options", "size"),
    [
        (DEFAULT, {}, (300, 512)),
        (Settings(max_input_size=None), {}, (600, 1024)),
        (DEFAULT, {"input_size": (24, 32)}, (24, 32)),
    ],
)
def test_input_size_follows_options_and_settings(
    settings: Settings, options: dict, size: tuple[int, int], make: Callable[..., Stsnet]
) -> None:
    inputs = make(settings, **options).preprocess([picture(0, (600, 1024))])
    assert inputs.shape == (1, 3, *size)


def test_thin_frames_are_told(make: Callable[..., Stsnet]) -> None:
    with pytest.raises(InputError, match="3000 x 20 pixels is too thin"):
        make().preprocess([picture(0, (20, 3000))])
    assert make(input_size=(16, 16)).preprocess([picture(0, (1, 30))]).shape == (1, 3, 16, 16)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40), (37, 53)])
@pytest.mark.parametrize(
    ("settings", "stretched", "method"),
    [
        (DEFAULT, True, cv2.INTER_CUBIC),
        (Settings(blur=0, interpolation="linear"), True, cv2.INTER_LINEAR),
        (Settings(blur=7, saliency_mean=31.0), False, cv2.INTER_CUBIC),
    ],
)
def test_maps_equal_opencv_s(
    settings: Settings, stretched: bool, method: int, size: tuple[int, int]
) -> None:
    """The published steps, one by one, with the library that the script uses."""
    output = np.random.default_rng(0).normal(0, 0.5, (2, 1, 12, 20)).astype(np.float32)
    ours = finish(torch.from_numpy(output), size, settings=settings, stretched=stretched).numpy()
    for map_, raw in zip(ours, output[:, 0], strict=True):
        grey = np.clip(raw * 128 + settings.saliency_mean, 0, 255)
        grey = cv2.resize(grey, size[::-1], interpolation=method)
        if settings.blur:
            grey = cv2.GaussianBlur(grey, (settings.blur, settings.blur), 0)
        grey = np.clip(grey, 0, 255)
        if stretched and grey.max() > 0:
            grey = grey / grey.max() * 255
        np.testing.assert_allclose(255 * map_, grey, rtol=0, atol=2e-3)


def test_black_maps_stay_black() -> None:
    assert not finish(torch.full((1, 1, 8, 8), -9.0), (8, 8), settings=DEFAULT).any()


def test_a_clip_may_be_divided_by_one_maximum(make: Callable[..., Stsnet]) -> None:
    """Levels are then comparable between frames; this has no effect on stills."""
    frames = [picture(0, (16, 20)) // divisor for divisor in (200, 1, 3)]
    settings = Settings(saliency_mean=1.0)  # or the synthetic weights hardly count
    plain = np.stack(maps(make(settings, net="ssnet", stretch="none"), frames))
    peaks = plain.max(axis=(1, 2))
    assert peaks.min() < 0.99 * peaks.max() < 1
    whole = make(settings, net="ssnet", stretch="video")
    np.testing.assert_allclose(maps(whole, frames), plain / peaks.max(), rtol=1e-5)
    each = [map_.max() for map_ in maps(whole, frames, None)]
    assert each == pytest.approx([1, 1, 1])
    assert whole.context is None  # a clip does not go on in its middle
    assert make(settings, net="ssnet").context == 1


def test_padded_frames_have_maps_of_all_of_them(make: Callable[..., Stsnet]) -> None:
    """Of 18 x 23 pixels the script's maps lack two rows and three columns."""
    frame = picture(0, (18, 23))
    model = make(net="ssnet", pad=True)
    inputs = model.preprocess([frame])
    mirrored = np.pad(frame, ((0, 2), (0, 1), (0, 0)), mode="reflect")
    with torch.inference_mode():
        wanted = model.network(*[model.preprocess([mirrored])] * 2)[..., :18, :23]
        found = model._forward(inputs, inputs)
        assert make(net="ssnet")._forward(inputs, inputs).shape[-2:] == (16, 20)
    torch.testing.assert_close(found, wanted)


def test_streams_see_what_the_options_say(make: Callable[..., Stsnet]) -> None:
    frames = [picture(seed) for seed in range(3)]
    script = maps(make(flow="frame"), frames)
    still = maps(make(), frames, None)
    moving, default = maps(make(flow="dis"), frames), maps(make(), frames)
    for one, other in zip([*script, *moving], [*still, *default], strict=True):
        assert np.array_equal(one, other)
    motionless = maps(make(flow="none"), frames)
    alone = maps(make(flow="dis"), frames, None)  # stills do not follow each other
    assert all(np.array_equal(a, b) for a, b in zip(motionless, alone, strict=True))
    kinds = [script[1], moving[1], motionless[1], maps(make(flow="farneback"), frames)[1]]
    for i, one in enumerate(kinds):
        assert all(np.abs(one - other).max() > 1e-3 for other in kinds[:i])


def test_streams_can_be_swapped(make: Callable[..., Stsnet], tmp_path: Path) -> None:
    frame, flow = picture(0), picture(1)
    for name, content in (("flow", flow), ("frame", frame)):
        (tmp_path / name).mkdir()
        Image.fromarray(content).save(tmp_path / name / "0001.png")
    straight = maps(make(flow=str(tmp_path / "flow")), [frame])
    swapped = maps(make(Settings(swap_streams=True), flow=str(tmp_path / "frame")), [flow])
    assert np.array_equal(straight[0], swapped[0])


def test_flow_of_another_size_is_fitted(make: Callable[..., Stsnet], tmp_path: Path) -> None:
    flow = picture(1, (24, 32))
    Image.fromarray(flow).save(tmp_path / "0001.png")
    fitted = cv2.resize(flow, (40, 30))
    (tmp_path / "fitted").mkdir()
    Image.fromarray(fitted).save(tmp_path / "fitted" / "0001.png")
    ours, ready = (
        maps(make(flow=str(folder)), [picture(0)]) for folder in (tmp_path, tmp_path / "fitted")
    )
    assert np.array_equal(ours[0], ready[0])


def test_ssnet_does_not_look_for_flow(make: Callable[..., Stsnet], tmp_path: Path) -> None:
    frames = [picture(seed) for seed in range(2)]
    without = maps(make(net="ssnet"), frames)
    assert np.array_equal(without[1], maps(make(net="ssnet", flow=str(tmp_path)), frames)[1])


def test_much_goes_through_a_cpu_in_parts(
    make: Callable[..., Stsnet], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = make(net="ssnet"), torch.rand(3, 3, 16, 16)
    calls: list[int] = []
    hook = model.network.register_forward_hook(lambda _, x, y: calls.append(len(x[0])))
    with torch.inference_mode():
        whole = model._forward(inputs, inputs)
        monkeypatch.setattr("salcli_stsnet.model.CPU_PIXELS", 2 * 16 * 16)
        torch.testing.assert_close(model._forward(inputs, inputs), whole, rtol=0, atol=1e-5)
    hook.remove()
    assert calls == [3, 2, 1]


@pytest.mark.parametrize(
    "options",
    [
        ["input_size=3,30"],
        ["flow="],
        ["net=latefusion"],
        ["flow=nowhere"],
    ],
)
def test_impossible_options_are_refused(options: list[str]) -> None:
    with pytest.raises(UsageError):
        create("stsnet", options=options, defaults={})


@pytest.mark.parametrize("settings", [{"max_input_size": (2, 2)}, {"blur": 4}, {"blur": -1}])
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Settings(**settings)


def test_net_is_told_by_the_file(
    filled: Filled, weights_file: Callable[[Net], Path], tmp_path: Path
) -> None:
    torch.save(filled("ssnet").state_dict(), tmp_path / "single.pth")
    for path in (tmp_path / "single.pth", weights_file("ssnet")):
        loaded = load_model("stsnet", weights_file=path, device="cpu", options=["flow=none"])
        assert loaded.model.options.net == "ssnet"
        assert loaded.model.network.conv4.prepared is not None
        state = filled("ssnet").state_dict()
        assert all(torch.equal(state[k], v) for k, v in loaded.model.network.state_dict().items())
    options = ["net=tsnet", "convolution=direct"]
    loaded = load_model("stsnet", weights_file=weights_file("ssnet"), device="cpu", options=options)
    assert loaded.model.options.net == "tsnet"
    assert loaded.model.network.conv4.prepared is None


def test_half_precision_is_computed_directly(weights_file: Callable[[Net], Path]) -> None:
    loaded = load_model(
        "stsnet", weights_file=weights_file("ssnet"), device="cpu", precision="bfloat16"
    )
    assert isinstance(loaded.model, Stsnet)
    assert loaded.model.network.conv4.prepared is None
    (map_,) = maps(loaded.model, [picture(0, (8, 8))], None)
    assert map_.dtype == np.float32
    assert map_.max() == 1


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "raft.pth"
    torch.save({"feature_encoder.conv.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"holds no net of STSNet.*feature_encoder"):
        load_model("stsnet", weights_file=path, device="cpu")
    golden = Path(__file__).parent / "goldens" / "mini_a_v2.caffemodel"
    with pytest.raises(WeightsError, match="missing keys: conv3"):
        load_model("stsnet", weights_file=golden, device="cpu")
