"""Training batches: the same for everybody who asks, and cut alike from image and ground truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from salcli.errors import InputError
from salcli.models.model import Model
from salcli.recipe import Augmentation, Recipe
from salcli.specs import ModelSpec
from salcli.training.batches import Batches
from salcli.training.loader import Loader, moved
from salcli.training.plan import Corpus
from salcli.types import Annotation, Batch, Frame, Prediction, Recording, Stimulus

STRONG = Augmentation(
    flip=0.5,
    scale=0.6,
    aspects=((4 / 3, 2), (1.0, 1)),
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
)


class Pixels(Model):
    """Sees the frame itself, or all frames at 48 x 48."""

    square = True

    def build(self) -> nn.Module:
        return nn.Identity()

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        pictures = [Image.fromarray(frame) for frame in frames]
        if self.square:
            pictures = [picture.resize((48, 48), Image.Resampling.BILINEAR) for picture in pictures]
        pixels = np.stack([np.asarray(picture) for picture in pictures])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255

    def predict(self, stimulus: Stimulus) -> Iterator[Prediction]:
        raise NotImplementedError


def pixels(*, square: bool = True) -> Pixels:
    model = Pixels(ModelSpec("pixels", "", ""))
    model.square = square
    return model


def blob(size: tuple[int, int], at: tuple[int, int], sigma: float) -> npt.NDArray[np.float64]:
    y, x = np.mgrid[: size[0], : size[1]]
    result: npt.NDArray[np.float64] = np.exp(
        -((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * sigma**2)
    )
    return result


def save(folder: Path, name: str, at: tuple[int, int], size: tuple[int, int]) -> Recording:
    """An image whose bright spot is the peak of the density and the only fixation."""
    spot = blob(size, at, 6)
    image = np.repeat((20 + 200 * spot).astype(np.uint8)[..., None], 3, axis=2)
    fixated = np.zeros(size, np.uint8)
    fixated[at] = 255
    paths = [folder / f"{name}.{kind}.png" for kind in ("image", "map", "fixations")]
    pictures = (image, (255 * spot).astype(np.uint8), fixated)
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    image_file, density, fixations = paths
    return Recording(name, image_file, [Annotation(name, density, fixations)])


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    folder, random = tmp_path_factory.mktemp("samples"), np.random.default_rng(0)
    spots = [tuple(random.integers((25, 30), (45, 60)).tolist()) for _ in range(7)]
    return [save(folder, str(n), spot, (70, 90)) for n, spot in enumerate(spots)]


def recipe(augmentation: Augmentation = STRONG, **changes: Any) -> Recipe:
    settings = {"epochs": 2, "batch_size": 2, "seed": 3, **changes}
    return Recipe(optimiser="sgd", learning_rate=0.1, augmentation=augmentation, **settings)


@dataclass(frozen=True)
class Epoch:
    """One epoch of batches."""

    batches: Batches
    number: int

    def __len__(self) -> int:
        return len(self.batches.plan(self.number))

    def __getitem__(self, index: int) -> Batch:
        return self.batches[self.number, index]

    def __iter__(self) -> Iterator[Batch]:
        return self.load(workers=0)

    def load(self, *, workers: int) -> Iterator[Batch]:
        return Loader(self.batches, workers=workers).epoch(self.number)


def corpus_of(recordings: Sequence[Recording], used: Recipe, **changes: Any) -> Corpus:
    settings: dict[str, Any] = {
        "batch_size": used.batch_size,
        "clip_length": used.clip_length,
        "clip_stride": used.clip_stride,
        "truth_size": used.truth_size,
        **changes,
    }
    return Corpus("spots", "", recordings, recordings, **settings)


def epoch_of(
    recordings: Sequence[Recording], number: int = 0, *, square: bool = True, **changes: Any
) -> Epoch:
    used = recipe(**changes)
    batches = Batches([corpus_of(recordings, used)], pixels(square=square), recipe=used)
    return Epoch(batches, number)


def content(batch: Batch) -> tuple[Tensor, ...]:
    return batch.inputs, batch.density, batch.fixations


def same(one: Batch, other: Batch) -> bool:
    return all(map(torch.equal, content(one), content(other)))


def test_a_batch_depends_on_seed_epoch_and_index_only(recordings: list[Recording]) -> None:
    first, again = epoch_of(recordings, 1), epoch_of(recordings, 1)
    backwards = [again[i] for i in reversed(range(len(again)))][::-1]
    assert all(same(first[i], backwards[i]) for i in range(len(first)))
    assert not same(first[0], first[1])
    assert not same(first[0], epoch_of(recordings, 2)[0])
    assert not same(first[0], epoch_of(recordings, 1, seed=4)[0])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_makes_no_difference(
    recordings: list[Recording], workers: int
) -> None:
    alone = list(epoch_of(recordings))
    shared = list(epoch_of(recordings).load(workers=workers))
    assert len(alone) == len(shared) == 3
    assert all(same(one, other) for one, other in zip(alone, shared, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_gpu_fetches_batches_from_pinned_memory(
    recordings: list[Recording], workers: int
) -> None:
    plain = epoch_of(recordings)
    pinned = list(Loader(plain.batches, workers=workers, pinned=True).epoch(plain.number))
    assert all(tensor.is_pinned() for batch in pinned for tensor in content(batch))
    there = (moved(batch, torch.device("cuda")) for batch in pinned)
    assert all(
        torch.equal(one, other.cpu())
        for batch, fetched in zip(plain, there, strict=True)
        for one, other in zip(content(batch), content(fetched), strict=True)
    )


def test_shapes_and_kinds(recordings: list[Recording]) -> None:
    inputs, density, fixations = content(epoch_of(recordings)[0])
    assert inputs.shape == (2, 1, 3, 48, 48)
    assert density.shape == fixations.shape == (2, 1, 1, 48, 48)
    assert (inputs.dtype, density.dtype) == (torch.float32, torch.float32)
    assert fixations.dtype is torch.bool


def test_every_density_sums_to_one(recordings: list[Recording]) -> None:
    for batch in epoch_of(recordings):
        assert (batch.density >= 0).all()
        torch.testing.assert_close(batch.density.sum((-2, -1)), torch.ones(2, 1, 1))


def peak(picture: Tensor) -> tuple[float, float]:
    row, column = divmod(int(picture.argmax()), picture.shape[-1])
    return row, column


def place(picture: Tensor) -> Tensor:
    """Row and column of the centre of what is bright."""
    weights = (picture - picture.min()).clamp(min=0) ** 4
    rows, columns = torch.meshgrid(*map(torch.arange, picture.shape), indexing="ij")
    return torch.stack([(weights * axis).sum() / weights.sum() for axis in (rows, columns)])


def test_image_density_and_fixation_stay_at_one_place(recordings: list[Recording]) -> None:
    """Under crops, flips and colours: within a pixel and a half, which is what rounding costs."""
    plain = Augmentation(flip=0.5, scale=0.7, aspects=((4 / 3, 2), (1.0, 1)))
    places = []
    for number in range(4):
        for batch in epoch_of(recordings, number, augmentation=plain):
            for inputs, density, fixations in zip(*content(batch), strict=True):
                if not fixations.any():
                    continue
                assert fixations.sum() == 1
                fixated = torch.tensor(peak(fixations[0, 0].int()))
                assert (place(density[0, 0]) - fixated).abs().max() <= 1.5
                assert (place(inputs[0].mean(0)) - fixated).abs().max() <= 1.5
                places.append(tuple(fixated.tolist()))
    assert len(set(places)) > len(places) / 2


def test_a_flip_mirrors_everything(recordings: list[Recording]) -> None:
    one = recordings[:1]
    straight, mirrored = (
        content(epoch_of(one, augmentation=Augmentation(flip=flip), batch_size=1)[0])
        for flip in (0.0, 1.0)
    )
    for before, after in zip(straight, mirrored, strict=True):
        assert not torch.equal(before, after)
        assert torch.equal(before.flip(-1), after)


def test_without_augmentation_nothing_changes(recordings: list[Recording]) -> None:
    one = recordings[0].annotations[0]
    inputs, density, fixations = content(
        epoch_of(recordings[:1], augmentation=Augmentation(), batch_size=1, square=False)[0]
    )
    frame = np.asarray(Image.open(recordings[0].source))
    assert torch.equal((inputs[0, 0] * 255).byte().permute(1, 2, 0), torch.tensor(frame))
    assert one.density is not None
    assert one.fixations is not None
    truth = torch.tensor(np.asarray(Image.open(one.density), np.float32))
    torch.testing.assert_close(density[0, 0, 0], truth / truth.sum())
    assert torch.equal(fixations[0, 0, 0], torch.tensor(np.asarray(Image.open(one.fixations)) > 0))


def test_colours_change_the_image_only(recordings: list[Recording]) -> None:
    one = recordings[:1]
    plain = content(epoch_of(one, augmentation=Augmentation(), batch_size=1)[0])
    for changes in (Augmentation(brightness=0.5), Augmentation(contrast=0.5)):
        changed = content(epoch_of(one, augmentation=changes, batch_size=1)[0])
        assert not torch.equal(plain[0], changed[0])
        assert torch.equal(plain[1], changed[1])
        assert torch.equal(plain[2], changed[2])


def test_hue_and_saturation_need_colour(tmp_path: Path, recordings: list[Recording]) -> None:
    coloured = np.zeros((70, 90, 3), np.uint8)
    coloured[...] = (200, 100, 50)
    Image.fromarray(coloured).save(tmp_path / "c.png")
    density = recordings[0].annotations[0].density
    one = [Recording("c", tmp_path / "c.png", [Annotation("c", density)])]
    for augmentation in (Augmentation(hue=0.4), Augmentation(saturation=0.4)):
        batch = epoch_of(one, augmentation=augmentation, batch_size=1, seed=5)[0]
        inputs = batch.inputs[0, 0, :, 0, 0]
        assert (inputs * 255 - torch.tensor([200.0, 100, 50])).abs().max() > 2
        if augmentation.hue:
            assert inputs.max() * 255 == pytest.approx(200, abs=2)
        else:
            assert inputs.argmax() == 0


def test_incomplete_batches_are_dropped(recordings: list[Recording]) -> None:
    assert len(epoch_of(recordings)) == 3
    assert len(epoch_of(recordings, batch_size=7)) == 1
    assert len(epoch_of(recordings, batch_size=8)) == 0
    with pytest.raises(IndexError):
        epoch_of(recordings)[3]


def test_every_image_comes_once_in_an_epoch_in_another_order(recordings: list[Recording]) -> None:
    def order(number: int) -> list[bytes]:
        batches = epoch_of(recordings, number, augmentation=Augmentation(), batch_size=1)
        return [batch.inputs.numpy().tobytes() for batch in batches]

    assert len(set(order(0))) == 7
    assert set(order(0)) == set(order(1))
    assert order(0) != order(1)


def test_images_of_one_size_share_a_batch(tmp_path: Path) -> None:
    sizes = [(70, 90)] * 3 + [(90, 70)] * 5 + [(60, 60)]
    mixed = [save(tmp_path, str(n), (30, 30), size) for n, size in enumerate(sizes)]
    turned = Image.open(mixed[0].source)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(mixed[0].source, exif=exif)  # now shown as 90 x 70
    batches = list(epoch_of(mixed, augmentation=Augmentation(), square=False))
    shapes = sorted(tuple(batch.inputs.shape[-2:]) for batch in batches)
    assert shapes == [(70, 90), (90, 70), (90, 70), (90, 70)]


def test_a_crop_without_fixations_has_a_uniform_density(
    tmp_path: Path, recordings: list[Recording]
) -> None:
    Image.fromarray(np.zeros((70, 90), np.uint8)).save(tmp_path / "zero.png")
    nowhere = Annotation("n", tmp_path / "zero.png", tmp_path / "zero.png")
    nobody = [Recording("n", recordings[0].source, [nowhere])]
    batch = epoch_of(nobody, batch_size=1)[0]
    assert (batch.density == batch.density.max()).all()
    assert batch.density.sum().item() == pytest.approx(1)
    assert not batch.fixations.any()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", ["image", "density", "fixations"])
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, recordings: list[Recording], workers: int, kind: str
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    one, done = recordings[0], recordings[0].annotations[0]
    files = {"image": one.source, "density": done.density, "fixations": done.fixations, kind: bad}
    annotation = Annotation("b", files["density"], files["fixations"])
    broken = Recording("b", files["image"] or bad, [annotation])
    with pytest.raises(InputError, match=r"bad\.png") as caught:
        list(epoch_of([broken], batch_size=1).load(workers=workers))
    assert "\n" not in str(caught.value)


@settings(max_examples=25)
@given(
    x=st.integers(0, 89),
    y=st.integers(0, 69),
    seed=st.integers(0, 1000),
    scale=st.floats(0.3, 1),
)
def test_a_fixation_is_inside_exactly_if_its_place_is(
    tmp_path_factory: pytest.TempPathFactory, x: int, y: int, seed: int, scale: float
) -> None:
    """Never more than one pixel, and none only if the crop has no density peak there either."""
    folder = tmp_path_factory.getbasetemp()
    one = save(folder, "law", (y, x), (70, 90))
    augmentation = Augmentation(flip=0.5, scale=scale, aspects=((1.5, 1),))
    batch = epoch_of([one], augmentation=augmentation, batch_size=1, seed=seed)[0]
    assert batch.fixations.sum() <= 1
    if batch.fixations.any():
        row, column = peak(batch.fixations[0, 0, 0].int())
        top = peak(batch.density[0, 0, 0])
        assert abs(row - top[0]) <= 2
        assert abs(column - top[1]) <= 2


def test_letterbox_cuts_bars_off_frames_density_and_fixations_alike(
    recordings: list[Recording], tmp_path: Path
) -> None:
    barred = []
    for recording in recordings:
        annotation, paths = recording.annotations[0], []
        for name, path in (
            ("image", recording.source),
            ("map", annotation.density),
            ("fixations", annotation.fixations),
        ):
            assert path is not None
            pixels_ = np.asarray(Image.open(path))
            bars = [(10, 10), (4, 4), *[(0, 0)] * (pixels_.ndim - 2)]
            paths.append(tmp_path / f"{recording.name}.{name}.png")
            Image.fromarray(np.pad(pixels_, bars)).save(paths[-1])
        image, density, fixations = paths
        barred.append(
            Recording(recording.name, image, [Annotation(recording.name, density, fixations)])
        )
    used = recipe(Augmentation())
    model = pixels().filtered(["letterbox,level=10"])
    found = Epoch(Batches([corpus_of(barred, used)], model, recipe=used), 0)

    for batch, plain in zip(found, epoch_of(recordings, augmentation=Augmentation()), strict=True):
        assert torch.equal(batch.inputs, plain.inputs)
        assert torch.allclose(batch.density, plain.density, atol=1e-6)
        assert torch.equal(batch.fixations, plain.fixations)
