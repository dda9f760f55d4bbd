"""TASED-Net's maps: which window predicts which frame, streaming against naive, options."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.ndimage
import torch
from salcli_tased import TASED, Options, fits
from salcli_tased.clips import WindowSchedule
from salcli_tased.finishing import finish
from salcli_tased.folded import Folded
from salcli_tased.model import Tased
from salcli_tased.network import TasedNet
from salcli_tased.streaming import Streaming

from salcli import InputError, Prediction, Stimulus, UsageError
from salcli.authoring import create

Make = Callable[..., Tased]

SIDE = 32
TINY = {"input_size": (SIDE, SIDE)}
AGREE = 0.004
"""Tolerance of finished maps where a switch flips; maps of other windows differ more."""


def video(count: int) -> list[np.ndarray]:
    """Blobs that move over noise, `[SIDE, SIDE, 3]`."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    frames = []
    for t in range(count):
        blob = np.exp(
            -((x - 16 - 12 * np.sin(t / 7)) ** 2 + (y - 16 - 10 * np.cos(t / 5)) ** 2) / 30
        )
        colours = np.array([90, 160, 60 + 60 * np.sin(t / 3)])
        frame = 60 * random.random((SIDE, SIDE, 3)) + blob[..., None] * colours
        frames.append(frame.astype(np.uint8))
    return frames


def predictions(model: Tased, frames: Sequence[np.ndarray]) -> list[Prediction]:
    stimulus = Stimulus("clip", frames, fps=25.0, size=(SIDE, SIDE))
    with torch.inference_mode():
        return list(model.predict(stimulus))


def maps(model: Tased, frames: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([p.saliency.numpy() for p in predictions(model, frames)])


@pytest.fixture(scope="module")
def naive(make: Make) -> np.ndarray:
    """Every third map of 70 frames, every window by itself."""
    return maps(make({**TINY, "mode": "naive", "stride": 3}), video(70))[::3]


@pytest.fixture(scope="module")
def streamed(make: Make) -> np.ndarray:
    """All of them, in as few chunks as possible."""
    return maps(make(TINY, batch_size=32), video(70))


class Recorder:
    """Returns, instead of a map, the frame numbers of a window."""

    def __init__(self, length: int, most: int) -> None:
        self.length, self.most = length, most
        self.frames: list[int] = []

    def push(self, frames: torch.Tensor) -> None:
        assert 0 < len(frames) <= self.most
        self.frames += frames[:, 0, 0, 0].int().tolist()

    def maps(self, starts: range) -> torch.Tensor:
        assert starts.stop + self.length - 1 <= len(self.frames)
        assert starts.start >= len(self.frames) - self.length - self.most + 1
        windows = [self.frames[start : start + self.length] for start in starts]
        return torch.tensor(windows)[:, None].float()


def windows(
    count: int, *, most: int = 3, stride: int = 1, short: str = "cyclic", length: int = 32
) -> dict[int, list[int]]:
    """The frames from which each map is computed."""
    numbered = (torch.arange(a, min(a + most, count)) for a in range(0, count, most))
    chunks = (numbers.view(-1, 1, 1, 1).expand(-1, 3, 1, 1) for numbers in numbered)
    schedule = WindowSchedule(
        length,
        stride=stride,
        most=most,
        sliding=lambda: Recorder(length, most),
        finish=lambda maps: maps,
    )
    found = list(schedule.maps(chunks, short))
    assert [index for index, _ in found] == sorted({index for index, _ in found})
    return {index: map_[0].int().tolist() for index, map_ in found}


@pytest.mark.parametrize("most", [1, 2, 7, 64])
@pytest.mark.parametrize("count", [62, 63, 64, 100])
def test_windows_are_those_of_the_original(count: int, most: int) -> None:
    found = windows(count, most=most)
    assert list(found) == list(range(count))
    for index, frames in found.items():
        if index < 31:
            assert frames == list(range(index + 31, index - 1, -1))
        else:
            assert frames == list(range(index - 31, index + 1))


@pytest.mark.parametrize("most", [1, 5, 64])
@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 40, 61])
@pytest.mark.parametrize("short", ["cyclic", "mirror"])
def test_short_videos_are_extended(count: int, short: str, most: int) -> None:
    forth = list(range(count))
    period = forth if short == "cyclic" else forth + forth[::-1]
    extended = (period * 63)[:63]
    found = windows(count, most=most, short=short)
    assert list(found) == forth
    for index, frames in found.items():
        first = index if index < 31 else index - 31
        window = extended[first : first + 32]
        assert frames == (window[::-1] if index < 31 else window)


@pytest.mark.parametrize("count", [1, 2, 31, 32, 40, 62, 63, 64, 100])
@pytest.mark.parametrize("stride", [2, 5, 16, 40, 1000])
def test_stride_computes_some_windows_and_the_last(count: int, stride: int) -> None:
    every = windows(count)
    found = windows(count, stride=stride)
    assert set(found) == {*range(0, count, stride), count - 1}
    assert all(every[index] == frames for index, frames in found.items())


@pytest.mark.parametrize("length", [16, 64])
def test_windows_of_other_lengths(length: int) -> None:
    found = windows(3 * length, length=length)
    assert found[length - 2] == list(range(2 * length - 3, length - 3, -1))
    assert found[length - 1] == list(range(length))
    assert len(found) == 3 * length


def test_strict_refuses_what_the_original_refuses() -> None:
    assert len(windows(62, short="strict")) == 62
    with pytest.raises(InputError, match="it has 61 frames, and TASED-Net needs 62"):
        windows(61, short="strict")


@pytest.mark.parametrize("length", [16, 32])
def test_a_clip_goes_on_with_the_windows_of_the_whole(length: int) -> None:
    options = Options(clip_length=length, short="strict")
    context, whole = Tased(TASED, options).context, windows(100, length=length)
    assert context is not None
    for index in range(context + 1, 100, 9):
        begin = index - context
        rest = windows(100 - begin, length=length, short="strict")
        for later in range(index, 100):
            assert [begin + frame for frame in rest[later - begin]] == whole[later]
    assert Tased(TASED, Options(stride=2)).context is None


def test_nothing_gives_nothing() -> None:
    assert windows(0) == {}


@torch.inference_mode()
@pytest.mark.parametrize("most", [pytest.param(1, marks=pytest.mark.endurance), 3])
def test_stream_shares_only_what_is_equal(network: TasedNet, most: int) -> None:
    """Activations everywhere, maps where the switches agree, from the first window to the last."""
    frames = torch.from_numpy(np.stack(video(60))).permute(0, 3, 1, 2).float() / 127.5 - 1
    stream = Streaming(Folded(network), 32, most=most)
    flipped = 0
    for first in range(0, len(frames), most):
        stream.push(frames[first : first + most])
        starts = range(max(0, first - 31), first + most - 31)
        if first % 4 or not starts:  # enough of them; caches go on meanwhile
            continue
        saliency = stream.maps(starts)
        for row, start in enumerate(starts):
            features = network.encode(frames[start : start + 32].transpose(0, 1)[None])
            for name, found in (
                ("y3", stream.front.window("y3", starts)),
                ("y2", stream.mixed_3c.window("y2", starts)),
                ("y0", stream.mixed_5c.edges["y0"]),
            ):
                wanted = getattr(features, name)[0].permute(1, 2, 3, 0)
                torch.testing.assert_close(found[:, row], wanted, rtol=0, atol=5e-4)
            far = (saliency[row] - network.decode(features)[0]).abs().max()
            flipped += bool(far > 1e-4)
    assert flipped <= 1


@pytest.mark.endurance
def test_stream_equals_naive(streamed: np.ndarray, naive: np.ndarray) -> None:
    far = np.abs(streamed[::3] - naive).max(axis=(1, 2))
    assert far.max() <= AGREE
    assert np.median(far) <= 1e-4
    neighbours = np.abs(streamed[1:] - streamed[:-1]).max(axis=(1, 2))
    assert neighbours.min() > AGREE


@pytest.mark.endurance
def test_maps_do_not_depend_on_chunks_nor_on_what_follows(make: Make, streamed: np.ndarray) -> None:
    found = maps(make(TINY, batch_size=1), video(62))
    np.testing.assert_allclose(found, streamed[:62], rtol=0, atol=AGREE)


@pytest.mark.parametrize(
    ("count", "stride"),
    [(1, 1), (31, 10), pytest.param(61, 20, marks=pytest.mark.endurance)],
)
def test_short_videos_stream_as_they_do_naively(make: Make, count: int, stride: int) -> None:
    streamed, naive = (
        maps(make({**TINY, "mode": mode, "stride": stride}), video(count))
        for mode in ("stream", "naive")
    )
    np.testing.assert_allclose(streamed, naive, rtol=0, atol=AGREE)


@pytest.mark.parametrize("length", [16, pytest.param(64, marks=pytest.mark.endurance)])
def test_other_clip_lengths_stream_as_they_do_naively(make: Make, length: int) -> None:
    options = {**TINY, "clip_length": length, "stride": 60}
    models = [
        create("tased", options={**options, "mode": m}, defaults={}) for m in ("stream", "naive")
    ]
    state = make({}).network.state_dict()
    found = []
    for model in models:
        assert isinstance(model, Tased)
        model.network.load_state_dict(state)
        model.network.eval()
        found.append(maps(model, video(length + 2)))
    np.testing.assert_allclose(*found, rtol=0, atol=AGREE)


def test_stride_interpolates_between_computed_maps(make: Make, streamed: np.ndarray) -> None:
    found = predictions(make({**TINY, "stride": 7}, batch_size=3), video(66))
    computed = {*range(0, 66, 7), 65}
    assert {i for i, p in enumerate(found) if not p.interpolated} == computed
    saliency = np.stack([p.saliency.numpy() for p in found])
    for index in computed - {65}:
        np.testing.assert_allclose(saliency[index], streamed[index], rtol=0, atol=AGREE)
    between = saliency[7] + (saliency[14] - saliency[7]) * 3 / 7
    np.testing.assert_allclose(saliency[10], between, rtol=0, atol=1e-6)
    raw = [found[index].extras["raw"] for index in (7, 10, 14)]
    torch.testing.assert_close(raw[1], raw[0] + (raw[2] - raw[0]) * 3 / 7)
    np.testing.assert_allclose(saliency[64], (saliency[63] + saliency[65]) / 2, rtol=0, atol=1e-6)


def test_finish_is_the_original_s() -> None:
    torch.manual_seed(0)
    raw = torch.rand(3, 40, 24)
    finished = finish(raw)
    assert torch.equal(finished[:, 1], raw)
    for ours, map_ in zip(finished[:, 0].numpy(), raw.numpy(), strict=True):
        quantised = np.floor(map_ * np.float32(255)).astype(np.float64) / 255
        blurred = scipy.ndimage.gaussian_filter(quantised, 7)
        np.testing.assert_allclose(ours, blurred / blurred.max(), rtol=0, atol=1e-6)


def test_a_map_of_zeros_stays_one() -> None:
    assert not finish(torch.zeros(1, 8, 8)).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["input_size=360,640"], "input_size 360,640 does not fit .* is 372,640"),
        (["input_size=0,-5"], "the next larger one that does is 20,20"),
        (["stride=0"], "stride=0 of model 'tased': must be at least 1"),
        (["mode=fast"], "must be one of stream, naive"),
        (["clip_length=24"], "must be one of 16, 32, 64"),
    ],
)
def test_impossible_options_are_refused(options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create("tased", options=options, defaults={})


@torch.inference_mode()
@pytest.mark.parametrize("side", range(4, 84, 4))
def test_sizes_that_fit_are_those_that_the_network_takes(network: TasedNet, side: int) -> None:
    clip = torch.zeros(1, 3, 32, side, 32)
    if fits(side):
        assert network(clip).shape == (1, side, 32)
    else:
        with pytest.raises(RuntimeError):
            network(clip)
