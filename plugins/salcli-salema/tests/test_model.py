"""SalEMA as a model: preprocessing, prediction, options and what weights files determine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_salema import SALEMA, Options
from salcli_salema.model import Salema, sigmoid
from salcli_salema.network import SalCLSTM30, SalEMA
from torch import Tensor

from salcli import InputError, Prediction, Stimulus, UsageError, WeightsError
from salcli.authoring import Checkpoint, create, parse_options, stretch

SMALL = "input_size=32,48"
PLAIN = (SMALL, "mode=frames")
"""Options that skip preparing kernels, which takes most of the time for a few small frames."""

MEAN = np.array([103.939, 116.779, 123.68])

NOTHING: Mapping[str, Any] = {}

Make = Callable[..., Salema]
Weights = Mapping[str, Tensor]


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 5, 8, 3), dtype=np.uint8)
    return list(coarse.repeat(10, axis=1).repeat(10, axis=2))


def predictions_of(
    model: Salema, frames: list[np.ndarray], fps: float | None = 25.0
) -> list[Prediction]:
    stimulus = Stimulus("clip", frames, fps=fps, size=frames[0].shape[:2])
    with torch.inference_mode():
        return list(model.predict(stimulus))


def maps_of(model: Salema, frames: list[np.ndarray], fps: float | None = 25.0) -> np.ndarray:
    return np.stack([each.saliency.numpy() for each in predictions_of(model, frames, fps)])


def test_frames_are_squeezed_and_centred_as_published(make_model: Make) -> None:
    frame = np.zeros((360, 640, 3), np.uint8)
    frame[..., 0], frame[..., 1], frame[..., 2] = 10, 20, 30
    inputs = make_model().preprocess([frame, frame])
    assert inputs.shape == (2, 3, 192, 256)
    assert inputs.dtype == torch.float32
    expected = (np.array([30, 20, 10]) - MEAN).astype(np.float32)
    assert np.array_equal(inputs[1, :, 100, 100].numpy(), expected)


def test_layers_are_prepared_once_for_all_clips(
    make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frames, times = make_model(SMALL), pictures(2), []
    expected, prepare = maps_of(model, frames), model.network.prepared
    monkeypatch.setattr(model.network, "prepared", lambda: times.append(1) or prepare())
    model.freeze()
    for _ in range(2):
        assert np.array_equal(maps_of(model, frames), expected)
    assert times == [1]


def test_shrinking_averages_areas(make_model: Make) -> None:
    frame = np.zeros((384, 512, 3), np.uint8)
    frame[::2] = 200
    inputs = make_model().preprocess([frame])[0].numpy()
    assert np.allclose(inputs, (100 - MEAN)[:, None, None], atol=1e-5)


def test_maps_stretch_from_zero_to_one_and_a_constant_one_is_zero() -> None:
    maps = torch.tensor([[[0.2, 0.4], [0.3, 0.4]], [[0.7, 0.7], [0.7, 0.7]]])
    wanted = torch.tensor([[[0.0, 1.0], [0.5, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(stretch(maps), wanted)


@pytest.mark.parametrize(
    "options",
    [
        *(pytest.param(each, marks=pytest.mark.endurance) for each in ((), ("variant=clstm30",))),
        ("ema_loc=7,54",),
    ],
)
def test_neither_batch_size_nor_mode_changes_the_maps(
    options: tuple[str, ...], make_model: Make
) -> None:
    frames = pictures(5)
    wanted = maps_of(make_model(SMALL, "mode=frames", *options), frames)
    assert np.abs(wanted[1:] - wanted[:-1]).max() > 0.01
    model = make_model(SMALL, *options)
    for batch_size in (2, 8):
        model.batch_size = batch_size
        np.testing.assert_allclose(maps_of(model, frames), wanted, rtol=0, atol=1e-5)


def test_state_ends_with_the_video_and_stills_have_none(make_model: Make) -> None:
    model, frames = make_model(*PLAIN), pictures(4)
    first = maps_of(model, frames)
    maps_of(model, pictures(3, seed=9))
    assert np.array_equal(maps_of(model, frames), first)
    stills = maps_of(model, frames, fps=None)
    alone = np.concatenate([maps_of(model, [frame]) for frame in frames])
    np.testing.assert_allclose(stills, alone, rtol=0, atol=1e-5)
    assert np.abs(stills[1:] - first[1:]).max() > 0.01


def test_static_variant_has_no_past(make_model: Make) -> None:
    model, frames = make_model(*PLAIN, "variant=static"), pictures(3)
    clip, stills = maps_of(model, frames), maps_of(model, frames, fps=None)
    np.testing.assert_allclose(clip, stills, rtol=0, atol=1e-5)


def test_dropout_at_prediction_only_on_request(make_model: Make) -> None:
    frames = pictures(1)
    plain = maps_of(make_model(*PLAIN, "dropout=never"), frames)
    assert np.array_equal(plain, maps_of(make_model(*PLAIN), frames))
    random = make_model(*PLAIN, "dropout=always")
    torch.manual_seed(0)
    one, other = maps_of(random, frames), maps_of(random, frames)
    assert np.abs(one - other).max() > 0.01
    assert np.abs(one - plain).max() > 0.01


def test_passes_of_monte_carlo_dropout_differ(make_model: Make) -> None:
    (found,) = predictions_of(make_model(*PLAIN, "monte_carlo=2"), pictures(1))
    assert found.extras["deviation"].max() > 0.001


@pytest.mark.endurance
def test_monte_carlo_dropout_is_the_mean_of_passes(make_model: Make) -> None:
    """With the masks of each frame and pass, whatever goes through the network at once."""
    frames = pictures(3)
    model = make_model(*PLAIN, "monte_carlo=3")
    found = predictions_of(model, frames)
    maps = np.stack([prediction.saliency.numpy() for prediction in found])
    passes = []
    for number in range(3):
        state, rows = None, []
        for index, x in enumerate(model.preprocess(frames)):
            kept = np.random.default_rng((number, index)).random(512) >= 0.5
            factors = torch.from_numpy(2 * kept).float()[:, None, None]

            def drop(module: Any, args: Any, factors: torch.Tensor = factors) -> tuple[Any]:
                return (args[0] * factors,)

            hook = model.network.salgan[30].register_forward_pre_hook(drop)
            with torch.no_grad():
                y, state = model.network(x[None, None], state)
            hook.remove()
            rows.append(y[0, 0, 0])
        passes.append(torch.stack(rows))
    raw = torch.stack(passes)
    wanted = stretch(raw.mean(0))
    np.testing.assert_allclose(maps, wanted.numpy(), rtol=0, atol=1e-4)
    deviation = np.stack([prediction.extras["deviation"].numpy() for prediction in found])
    np.testing.assert_allclose(deviation, raw.std(0, correction=0).numpy(), rtol=0, atol=1e-5)
    assert deviation.max() > 0.001
    again = make_model(SMALL, "monte_carlo=3", batch_size=2)
    np.testing.assert_allclose(maps_of(again, frames), maps, rtol=0, atol=1e-4)
    stills = maps_of(model, frames, fps=None)
    assert np.abs(stills[0] - maps[0]).max() < 1e-4
    assert np.abs(stills[1:] - maps[1:]).max() > 0.01


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["alpha_logit=0.1", "ema_weight=0.1"], "use one of them"),
        (["ema_weight=1.1"], "from 0 to 1"),
        (["ema_weight=0.1,0.2"], "one for each layer"),
        (["alpha_logit=inf"], "finite"),
        (["ema_loc=62"], "from 0 to 61"),
        (["ema_loc=54,7"], "two in ascending order"),
        (["ema_loc=1,2,3"], "two in ascending order"),
        (["ema_loc=7,54", "alpha_logit=0.1"], "double average"),
        (["ema_loc=7,54", "residual=true"], "double average"),
        (["residual=true", "ema_loc=60"], "changes the shape"),
        (["residual=true", "ema_loc=36"], "changes the shape"),
        (["variant=static", "ema_weight=0.1"], "no moving average"),
        (["variant=clstm30", "dropout=always"], "no dropout"),
        (["variant=static", "monte_carlo=2"], "no dropout"),
        (["ema_loc=7,54", "monte_carlo=2"], "double average"),
        (["variant=clstm56", "residual=true"], "no residual"),
        (["input_size=100,100"], "multiples of 16"),
        (["clip_length=0"], "at least 1"),
        (["residual=maybe"], "true or false"),
    ],
)
def test_impossible_options_are_refused(options: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        create("salema", options=options, defaults={})


def weights_of(model: Salema) -> tuple[float, ...] | None:
    assert isinstance(model.network, SalEMA)
    return model.network.weights


@pytest.fixture
def load() -> Callable[..., Salema]:
    def load(name: str, state: Weights, *options: str, own: Mapping[str, Any] = NOTHING) -> Salema:
        """The model with a file's weights; `own` are the options stored in the file."""
        model = Salema(SALEMA, parse_options(SALEMA, options, defaults=own))
        model.load(Checkpoint(state, Path(name)))
        return model

    return load


def test_a_file_without_alpha_means_the_published_command(
    load: Callable[..., Salema], ema_state: Weights
) -> None:
    model = load("ema.pt", ema_state)
    assert weights_of(model) == pytest.approx((0.52497919,), abs=1e-8)
    assert (model.options.variant, model.options.alpha_logit) == ("ema", 0.1)


@pytest.mark.parametrize(
    ("option", "weight"),
    [("alpha_logit=-2.197224577336219", 0.1), ("ema_weight=0.1", 0.1), ("alpha_logit=1", 0.731059)],
)
def test_logit_and_weight_are_two_options(option: str, weight: float) -> None:
    model = Salema(SALEMA, parse_options(SALEMA, [option], defaults={}))
    assert model.average_weights() == pytest.approx((weight,), abs=1e-6)


def test_weight_of_any_logit() -> None:
    assert [sigmoid(x) for x in (-1000.0, 0.0, 1000.0)] == [0.0, 0.5, 1.0]


def test_alpha_of_the_file_is_a_logit_and_becomes_an_option(
    load: Callable[..., Salema], ema_state: Weights
) -> None:
    state = {"alpha": torch.tensor([-1.5]), **ema_state}
    model = load("learned.pt", state)
    assert model.options.alpha_logit == -1.5
    assert weights_of(model) == pytest.approx((0.182426,), abs=1e-6)
    overridden = load("learned.pt", state, "ema_weight=0.1")
    assert weights_of(overridden) == (0.1,)
    assert overridden.options.alpha_logit is None


def test_variant_is_told_by_the_keys_not_by_the_name(
    load: Callable[..., Salema], clstm30_state: Weights, ema_state: Weights
) -> None:
    recurrent = load("SalEMA30-not.pt", clstm30_state)
    assert isinstance(recurrent.network, SalCLSTM30)
    assert recurrent.options.variant == "clstm30"
    static = load("ema.pt", ema_state, "variant=static")
    assert weights_of(static) == ()


def test_double_average_has_its_own_weight(load: Callable[..., Salema], ema_state: Weights) -> None:
    model = load("ema.pt", ema_state, "ema_loc=7,54")
    assert weights_of(model) == model.options.ema_weight == (0.3, 0.3)
    assert weights_of(load("ema.pt", ema_state, "ema_loc=7,54", "ema_weight=0.2,0.4")) == (0.2, 0.4)


@pytest.mark.parametrize("fault", ["missing", "shape", "stranger", "cell", "alpha", "option"])
def test_wrong_weights_are_refused(
    fault: str, load: Callable[..., Salema], ema_state: Weights, clstm30_state: Weights
) -> None:
    state, options = dict(ema_state), []
    match fault:
        case "missing":
            del state["salgan.30.bias"]
            complaint = r"missing\.pt.*1 missing keys: salgan\.30\.bias"
        case "shape":
            state["salgan.0.weight"] = torch.zeros(64, 1, 3, 3)
            complaint = r"wrong shapes: salgan\.0\.weight \[64, 1, 3, 3\] instead of"
        case "stranger":
            state = {"conv1.weight": torch.zeros(1)}
            complaint = "54 missing keys"
        case "cell":
            state = {k: v for k, v in clstm30_state.items() if k != "Gates.bias"}
            complaint = r"missing keys: Gates\.bias"
        case "alpha":
            state["alpha"] = torch.tensor([float("nan")])
            complaint = "alpha is not one finite number"
        case "option":
            options, complaint = ["learn_alpha=true"], "missing keys: alpha"
    with pytest.raises(WeightsError, match=complaint):
        load(f"{fault}.pt", state, *options)


def test_options_that_do_not_fit_the_file_s_variant_are_refused(
    load: Callable[..., Salema], clstm30_state: Weights
) -> None:
    with pytest.raises(UsageError, match=r"is of variant clstm30: .*no moving average"):
        load("SalEMA30-not.pt", clstm30_state, "alpha_logit=0.1")


def test_what_salcli_saved_predicts_with_the_alpha_it_learned(
    load: Callable[..., Salema], ema_state: Weights
) -> None:
    state = {"alpha": torch.tensor([0.7]), **ema_state}
    own = dataclasses.asdict(Options(learn_alpha=True, ema_loc=(54,)))
    model = load("best.safetensors", state, own=own)
    assert model.options.alpha_logit == pytest.approx(0.7)
    assert model.network.places == (54,)
    assert weights_of(model) == pytest.approx((sigmoid(0.7),))
    overridden = load("best.safetensors", state, "alpha_logit=0.2", own=own)
    assert weights_of(overridden) == pytest.approx((sigmoid(0.2),))


@pytest.mark.parametrize("fps", [25.0, None])
def test_feature_maps_of_a_frame_know_the_frames_before(
    fps: float | None, make_model: Make
) -> None:
    frames = pictures(3)
    clip = Stimulus("clip", frames, fps=fps, size=(50, 80))
    model, forgetful = make_model(*PLAIN), make_model(*PLAIN, "ema_weight=1")
    with torch.inference_mode():
        late, alone = (m.feature_maps(clip, 30, frame=2) for m in (model, forgetful))
        early = model.feature_maps(clip, 29, frame=2)
        encoded, _ = model.network(model.preprocess(frames[2:])[None], last=29)
    assert late.shape == (512, 2, 3)
    assert torch.allclose(late, alone, atol=1e-4) == (fps is None)
    torch.testing.assert_close(early, encoded[0, 0], rtol=1e-5, atol=1e-4)


def test_feature_maps_that_are_not_there(make_model: Make) -> None:
    model, clip = make_model(*PLAIN), Stimulus("clip", pictures(2), fps=25.0, size=(50, 80))
    with torch.inference_mode():
        with pytest.raises(UsageError, match="the layers of this network are 0 to 61"):
            model.feature_maps(clip, 62, frame=0)
        with pytest.raises(InputError, match="'clip' has 2 frames, so there is no frame 3"):
            model.feature_maps(clip, 30, frame=2)


def test_half_precision_keeps_the_average_in_float32(make_model: Make) -> None:
    frames = pictures(2)
    model = make_model("input_size=16,32")
    wanted = maps_of(model, frames)
    model.to(torch.device("cpu"), torch.bfloat16)
    maps = maps_of(model, frames)
    assert maps.dtype == np.float32
    assert 0 < np.abs(maps - wanted).max() < 0.2
