"""The published training: which samples, and how frames and ground truth are resized."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from salcli_unisal.recipes import MIT1003, PUBLISHED
from salcli_unisal.sampling import Resizer

from salcli import Annotation, Recording
from salcli.authoring import (
    IMAGENET,
    Batches,
    Corpus,
    create,
    dhf1k_frames,
    ucf_sports_clips,
    validation_clips,
)
from salcli.testing import fixed_samples, make_optimiser, samples
from salcli.testing.miniatures import Lists

Picture = npt.NDArray[np.uint8]
SOURCES = {source.dataset: source for source in PUBLISHED.sources}


def corpus_of(name: str, recordings: Sequence[Recording]) -> Corpus:
    return Corpus.of(Lists(recordings, recordings), SOURCES[name], PUBLISHED)


def cut_or_padded(picture: Image.Image, height: int, width: int) -> Picture:
    """The central part; zeros where the picture is narrower."""
    pixels = np.asarray(picture)
    missing = max(width - pixels.shape[1], 0)
    border = [(0, 0), (missing // 2, missing - missing // 2), (0, 0)][: pixels.ndim]
    pixels = np.pad(pixels, border)
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    found: Picture = pixels[top : top + height, left : left + width]
    return found


def as_hollywood(picture: Image.Image, how: Image.Resampling) -> Picture:
    w, h = picture.size
    if h != 224:
        picture = picture.resize((int(w * 224 / h), 224), how)
    return cut_or_padded(picture, 224, 416)


def as_ucf_sports(picture: Image.Image, how: Image.Resampling) -> Picture:
    q = picture.size[0] / picture.size[1]
    size = (384, int(384 / q)) if q < 1.5 else (int(256 * q), 256)
    return cut_or_padded(picture.resize(size, how), 256, 384)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("hollywood2", (240, 320)),
        ("hollywood2", (200, 477)),
        ("hollywood2", (224, 500)),
        ("ucfsports", (404, 480)),
        ("ucfsports", (240, 431)),
    ],
)
def test_clips_are_fitted_as_published(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    """Frames and maps by Pillow's Lanczos, fixations by its nearest pixel, all of 8 bit."""
    published = {"hollywood2": as_hollywood, "ucfsports": as_ucf_sports}[name]
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8))
    frame = noise.resize(size[::-1], Image.Resampling.BICUBIC)
    density = frame.getchannel(0)
    fixated = Image.fromarray(255 * (random.random(size) < 0.02).astype(np.uint8))
    paths = [tmp_path / f"{kind}.png" for kind in ("frame", "map", "fixation")]
    for picture, path in zip((frame, density, fixated), paths, strict=True):
        picture.save(path)
    clip = Recording("c", tmp_path, [Annotation("1", *paths[1:])], fps=24.0, frames=paths[:1])
    one = replace(corpus_of(name, [clip]), batch_size=1, clip_length=1, clip_stride=1)
    batch = Batches([one], create("unisal", defaults={}), recipe=PUBLISHED)[0, 0]
    mean, std = map(np.array, IMAGENET)
    pixels = (published(frame, Image.Resampling.LANCZOS) / 255 - mean) / std
    found = batch.inputs[0, 0].permute(1, 2, 0)
    torch.testing.assert_close(found, torch.tensor(pixels).float(), rtol=0, atol=1e-5)
    levels = published(density, Image.Resampling.LANCZOS).astype(np.float64)
    expected = torch.tensor(levels / levels.sum()).float()
    torch.testing.assert_close(batch.density[0, 0, 0], expected, rtol=1e-5, atol=0)
    marked = published(fixated, Image.Resampling.NEAREST) > 127.5
    assert np.array_equal(batch.fixations[0, 0, 0].numpy(), marked)


@pytest.mark.parametrize(("how", "columns"), [("height", 21), ("cover", 24)])
def test_frames_keep_their_shape(how: str, columns: int) -> None:
    """Of 24 x 32 pixels: 16 x 21 and black borders, or 18 x 24 without two rows."""
    white = np.full((24, 32, 3), 255, np.uint8)
    fit = Resizer((16, 24), how)
    seen = fit.frame(white)
    assert seen.shape == (16, 24, 3)
    assert (seen == 255).all(axis=(0, 2)).sum() == columns
    assert not fit.density(white[..., 0].astype(np.float32))[:, seen[0, :, 0] == 0].any()


def test_the_epoch_of_the_least_loss_on_dhf1k_is_the_best() -> None:
    """Of the fourth epoch and later ones, if there are so many."""
    model = create("unisal", defaults={})
    scores = {"all": {"loss": 1.0}, "dhf1k": {"loss": 2.0}}
    found = [model.selecting_score(scores, PUBLISHED, epoch) for epoch in range(5)]
    assert found == [None, None, None, 2.0, 2.0]
    short = replace(PUBLISHED, epochs=2)
    assert [model.selecting_score(scores, short, epoch) for epoch in range(2)] == [None, 2.0]
    assert model.selecting_score({"all": {"loss": 1.0}}, PUBLISHED, 3) == 1.0
    assert model.selecting_score(scores, MIT1003, 0) == 1.0


@pytest.mark.parametrize(("published", "moves"), [(True, True), (False, False)])
def test_untouched_parameters_move_as_before_pytorch_1_7(published: bool, moves: bool) -> None:
    used, idle = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    network, before = torch.nn.Sequential(used, idle), idle.weight.clone()
    frozen = used.bias.clone()
    used.bias.requires_grad_(False)
    recipe = PUBLISHED if published else replace(PUBLISHED, optimiser="sgd")
    optimiser = make_optimiser(network, recipe)
    torch.autograd.backward(used(torch.ones(1, 1)).sum())
    optimiser.step()
    assert torch.equal(before, idle.weight) is not moves
    assert torch.equal(used.bias, frozen)


def test_the_truth_of_mit1003_is_resized_as_published(tmp_path: Path) -> None:
    """Pillow's Lanczos for maps, the nearest pixel for fixations, to twice the input's size."""
    random = np.random.default_rng(0)
    size = (300, 400)
    noise = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8))
    frame = noise.resize(size[::-1], Image.Resampling.BICUBIC)
    fixated = Image.fromarray(255 * (random.random(size) < 0.02).astype(np.uint8))
    paths = [tmp_path / f"{kind}.png" for kind in ("frame", "map", "fixation")]
    for picture, path in zip((frame, frame.getchannel(0), fixated), paths, strict=True):
        picture.save(path)
    still = [Recording("i", paths[0], [Annotation("i", *paths[1:])])]
    corpus = replace(Corpus.of(Lists(still, still), MIT1003.sources[0], MIT1003), batch_size=1)
    batch = Batches([corpus], create("unisal", defaults={}), recipe=MIT1003)[0, 0]
    assert batch.inputs.shape[-2:] == (288, 384)
    levels = np.asarray(frame.getchannel(0).resize((768, 576), Image.Resampling.LANCZOS))
    expected = torch.tensor(levels / levels.sum(dtype=np.float64)).float()
    torch.testing.assert_close(batch.density[0, 0, 0], expected, rtol=1e-5, atol=0)
    marked = np.asarray(fixated.resize((768, 576), Image.Resampling.NEAREST)) > 127.5
    assert np.array_equal(batch.fixations[0, 0, 0].numpy(), marked)


def clip_of(name: str, count: int) -> Recording:
    """A clip of this many frames, none of which is read."""
    return Recording(
        name,
        Path(name),
        [Annotation("", Path("map.png"))] * count,
        fps=24.0,
        frames=[Path("frame.png")] * count,
    )


def test_as_many_clips_train_and_validate_as_published() -> None:
    """150 batches of four for DHF1K, 50 to validate; 82 clips of UCF-Sports are long enough."""
    dhf1k = [clip_of(str(i), count) for i, count in enumerate(dhf1k_frames()[:700])]
    corpus = corpus_of("dhf1k", dhf1k)
    assert len(samples(corpus, dhf1k[:600], PUBLISHED)) == 4 * 150
    assert len(fixed_samples(corpus, dhf1k[600:], PUBLISHED)) == 4 * 50
    clips = [
        clip_of(name, count)
        for name, count in ucf_sports_clips("train").items()
        if name not in validation_clips()
    ]
    assert len(samples(corpus_of("ucfsports", clips), clips, PUBLISHED)) == 82


@pytest.mark.parametrize(
    ("name", "count", "starts"),
    [
        ("dhf1k", 450, [82, 368]),
        ("dhf1k", 1000, [220, 780]),
        ("dhf1k", 100, [1, 40]),
        ("hollywood2", 100, [26]),
        ("hollywood2", 48, [1]),
        ("ucfsports", 200, [76]),
    ],
)
def test_clips_to_validate_on_begin_where_published(
    name: str, count: int, starts: list[int]
) -> None:
    """`starts` count from 1: of x = n // 2k - clip // 2, max(1, x) to min(n - clip, n - x)."""
    clips = [clip_of("c", count)]
    found = fixed_samples(corpus_of(name, clips), clips, PUBLISHED)
    assert [sample.starts[0] + 1 for sample in found] == starts
