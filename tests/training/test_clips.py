"""Samples of clips: which frames, with which ground truth, from which source."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from salcli.errors import InputError
from salcli.gaze.groundtruth import frame_size
from salcli.models.loading import create
from salcli.models.model import Model
from salcli.recipe import WHOLE, Augmentation, Recipe, Source
from salcli.testing.miniatures import Lists
from salcli.training.batches import Batches
from salcli.training.plan import Corpus, span, windows
from salcli.training.reader import Excerpt, FrameReader
from salcli.training.sampling import Sampling
from salcli.types import Annotation, Batch, Frame, Recording

from .conftest import as_video, make_clip

PLAIN = Recipe(2, 2, "sgd", 0.1, clip_length=3, clip_stride=2, seed=1)


@pytest.fixture
def model(little: None) -> Model:
    return create("little", defaults={})


def corpus(recordings: Sequence[Recording], recipe: Recipe = PLAIN, **changes: Any) -> Corpus:
    made = Corpus(
        "spots",
        "",
        recordings,
        recordings,
        batch_size=recipe.batch_size,
        clip_length=recipe.clip_length,
        clip_stride=recipe.clip_stride,
        truth_size=recipe.truth_size,
    )
    return replace(made, **changes)


def batches(
    model: Model, recordings: Sequence[Recording], recipe: Recipe = PLAIN, **changes: Any
) -> Batches:
    return Batches([corpus(recordings, recipe)], model, recipe=recipe, **changes)


def numbers(batch: Batch) -> list[list[int]]:
    """Which frames the samples of a batch hold: the green of frame i is 10 i."""
    green = (batch.inputs[:, :, 1] + 0.5) * 25.5
    return green.mean((-2, -1)).round().int().tolist()


def test_frames_of_videos_and_folders_are_read_anywhere(
    clips: list[Recording], tmp_path: Path
) -> None:
    video = as_video(clips[0], tmp_path / "clip.avi")
    assert frame_size(video) == frame_size(clips[0]) == (24, 32)
    for positions in (range(1), range(2, 9, 3), range(8, 9)):
        expected = [np.asarray(Image.open((clips[0].frames or [])[i])) for i in positions]
        for recording in (video, clips[0]):
            found = FrameReader().read(recording, positions)
            assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    excerpts = [list(Excerpt(recording, range(3, 6))) for recording in (video, clips[0])]
    assert np.array_equal(excerpts[0], excerpts[1])
    assert len(list(Excerpt(video, range(7, 12)))) == 2
    with pytest.raises(InputError, match=r"clip\.avi' has no frames 8 to 11: it is shorter"):
        FrameReader().read(video, range(7, 11))


def test_remembered_frames_stay_within_their_bound(clips: list[Recording]) -> None:
    size = 24 * 32 * 3
    reader = FrameReader(4 * size)
    first = reader.read(clips[0], range(3))
    assert all(a is b for a, b in zip(reader.read(clips[0], range(3)), first, strict=True))
    reader.read(clips[1], range(3))
    assert reader.used == 4 * size
    assert reader.read(clips[0], range(2, 3))[0] is first[2]
    assert reader.read(clips[0], range(1))[0] is not first[0]
    assert FrameReader().read(clips[0], range(1))[0] is not first[0]


def test_a_sample_is_a_window_at_a_random_place(model: Model, clips: list[Recording]) -> None:
    seen = set()
    for epoch in range(12):
        made = batches(model, clips)
        assert len(made.plan(epoch)) == 2
        for index in range(2):
            batch = made[epoch, index]
            assert batch.inputs.shape == (2, 3, 3, 12, 16)
            assert batch.density.shape == batch.fixations.shape == (2, 3, 1, 12, 16)
            torch.testing.assert_close(batch.density.sum((-2, -1)), torch.ones(2, 3, 1))
            for frames in numbers(batch):
                assert frames[1:] == [frames[0] + 2, frames[0] + 4]
                seen.add(frames[0])
    assert seen <= set(range(9))
    assert len(seen) >= 7


def test_all_frames_of_a_sample_are_mirrored_or_none(model: Model, clips: list[Recording]) -> None:
    straight = batches(model, clips)
    turned = batches(model, clips, replace(PLAIN, augmentation=Augmentation(flip=0.5)))
    found = set()
    for epoch in range(4):
        one, other = straight[epoch, 0], turned[epoch, 0]
        for a, b, c, d in zip(one.inputs, other.inputs, one.density, other.density, strict=True):
            if not torch.equal(a[:, 1].mean((-2, -1)), b[:, 1].mean((-2, -1))):
                continue  # another window: the draws differ
            mirrored = torch.equal(a.flip(-1), b)
            assert mirrored or torch.equal(a, b)
            torch.testing.assert_close(c.flip(-1) if mirrored else c, d)
            found.add(mirrored)
    assert found == {True, False}


def test_only_the_last_frame_is_the_target(model: Model, clips: list[Recording]) -> None:
    everything, last = batches(model, clips), batches(model, clips, replace(PLAIN, targets="last"))
    one, other = everything[0, 0], last[0, 0]
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.density[:, -1:], other.density)
    assert torch.equal(one.fixations[:, -1:], other.fixations)


def test_windows_need_their_ground_truth(clips: list[Recording]) -> None:
    whole = clips[0]
    holes = [
        each if i % 2 == 0 else Annotation(each.label) for i, each in enumerate(whole.annotations)
    ]
    every_other = replace(whole, annotations=holes)
    assert windows(corpus([whole]), whole, PLAIN) == [0, 1, 2, 3, 4]
    assert windows(corpus([whole]), every_other, PLAIN) == [0, 2, 4]
    last = replace(PLAIN, targets="last", clip_stride=1)
    assert windows(corpus([whole], last), every_other, last) == [0, 2, 4, 6]
    video = replace(whole, frames=None)  # which may lack its last frame
    assert windows(corpus([video]), video, PLAIN) == [0, 1, 2, 3]
    assert span(corpus([video], replace(PLAIN, clip_length=WHOLE)), video) == 8
    long = replace(PLAIN, clip_length=6)
    assert windows(corpus([whole], long), whole, long) == []
    assert windows(corpus([whole], replace(PLAIN, clip_length=WHOLE)), whole, PLAIN) == [0]


def test_what_is_too_short_is_left_out_and_counted(model: Model, clips: list[Recording]) -> None:
    made = batches(model, clips, replace(PLAIN, clip_length=6))
    assert made.left_out == 2
    assert sorted(member for planned in made.plan(0) for member in planned.members) == [0, 1]
    found = [frames for i in range(len(made.plan(0))) for frames in numbers(made[0, i])]
    assert len(found) == 2
    assert all(len(frames) == 6 for frames in found)


def test_whole_clips_and_stills(model: Model, clips: list[Recording]) -> None:
    whole = replace(PLAIN, clip_length=WHOLE, clip_stride=1, batch_size=1, shuffle=False)
    lengths = [
        len(frames) for i in range(5) for frames in numbers(batches(model, clips, whole)[0, i])
    ]
    assert lengths == [9, 10, 11, 12, 13]
    still = Recording("s", (clips[0].frames or [])[4], clips[0].annotations[4:5])
    assert span(corpus([still]), still) == 1
    assert numbers(batches(model, [still, still])[0, 0]) == [[4], [4]]


def test_brightness_keeps_the_grey_and_sizes_are_chosen(
    model: Model, clips: list[Recording]
) -> None:
    recipe = replace(PLAIN, truth="brightness", truth_size=0.0, clip_length=1)
    batch = batches(model, clips, recipe)[0, 0]
    assert batch.density.shape == batch.fixations.shape == (2, 1, 1, 24, 32)
    assert batch.density.amax() == 255
    assert batch.fixations.sum((-2, -1)).tolist() == [[[1]], [[1]]]
    assert batches(model, clips, replace(PLAIN, truth_size=2.0))[0, 0].density.shape[-2:] == (
        24,
        32,
    )
    bare = replace(clips[0], annotations=[replace(a, density=None) for a in clips[0].annotations])
    made = batches(model, [bare, bare], recipe)[0, 0].density
    torch.testing.assert_close(made.amax((-2, -1)), torch.full((2, 1, 1), 255.0))


def test_a_frame_can_have_several_maps(model: Model, clips: list[Recording]) -> None:
    stills = [
        Recording(str(i), (clips[i].frames or [])[0], clips[i].annotations[:3]) for i in range(2)
    ]
    recipe = replace(PLAIN, slices=3, clip_length=1, shuffle=False)
    batch = batches(model, stills, recipe)[0, 0]
    assert batch.density.shape == batch.fixations.shape == (2, 1, 3, 12, 16)
    peaks = batch.density[0, 0].flatten(1).argmax(1) % 16
    assert peaks.tolist() == sorted(peaks.tolist())
    assert len(set(peaks.tolist())) > 1


def test_sources_alternate_each_with_its_own_samples(model: Model, clips: list[Recording]) -> None:
    stills = [
        Recording(str(i), (clips[i].frames or [])[0], clips[i].annotations[:1]) for i in range(5)
    ]
    corpora = [corpus(clips, domain="moving"), corpus(stills, domain="still", batch_size=1)]
    made = Batches(corpora, model, recipe=PLAIN)
    orders = []
    for epoch in range(3):
        found = [made[epoch, index] for index in range(len(made.plan(epoch)))]
        assert [b.domain for b in found].count("moving") == 2
        assert [b.domain for b in found].count("still") == 5
        assert all(
            b.inputs.shape[:2] == ((2, 3) if b.domain == "moving" else (1, 1)) for b in found
        )
        orders.append([b.domain for b in found])
    assert len({tuple(order) for order in orders}) > 1


def test_an_epoch_of_steps_goes_over_the_data_again_and_again(
    model: Model, clips: list[Recording]
) -> None:
    passes = batches(model, clips, replace(PLAIN, batch_size=1))
    steps = batches(model, clips, replace(PLAIN, batch_size=1, epoch_steps=2, accumulation=2))
    everything = [planned for number in range(4) for planned in passes.plan(number)]
    for epoch in range(5):
        assert list(steps.plan(epoch)) == everything[4 * epoch : 4 * epoch + 4]
    odd = batches(model, clips, replace(PLAIN, batch_size=1, accumulation=2))
    assert len(odd.plan(0)) == 4


def test_processes_share_each_batch(model: Model, clips: list[Recording]) -> None:
    alone = batches(model, clips)[1, 0]
    shares = [batches(model, clips, share=(number, 2))[1, 0] for number in range(2)]
    assert torch.equal(alone.inputs, torch.cat([share.inputs for share in shares]))
    assert torch.equal(alone.density, torch.cat([share.density for share in shares]))


def test_validation_takes_the_middle_of_every_recording(
    model: Model, clips: list[Recording]
) -> None:
    recipe = replace(PLAIN, batch_size=2, augmentation=Augmentation(flip=1.0))
    made = batches(model, clips, recipe, training=False)
    found = [frames for i in range(len(made.plan(0))) for frames in numbers(made[0, i])]
    assert [frames[1] for frames in found] == [4, 5, 5, 6, 6]
    shares = [batches(model, clips, recipe, training=False, share=(n, 2)) for n in range(2)]
    assert [len(share.plan(0)) for share in shares] == [2, 1]


class Corner:
    """Cuts out the upper left corner."""

    size = (16, 24)

    def frame(self, frame: Frame) -> Frame:
        return frame[:16, :24]

    def density(self, density: np.ndarray) -> np.ndarray:
        return density[:16, :24]

    def points(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return points[(points < (24, 16)).all(axis=1)]


class Own(Sampling):
    """Samples that begin at two places, span their last stride, and are a corner."""

    fit = Corner()

    def span(self, length: int, stride: int) -> int:
        return length * stride

    def validation_starts(self, frames: int, span: int) -> list[int]:
        return [0, frames - span]


class Doubled(Sampling):
    """The ground truth alone is a corner of twice the input's size."""

    def truth_fit(self, size: tuple[int, int]) -> Corner:
        assert size == (24, 32)
        return Corner()


def test_a_source_may_have_longer_samples(clips: list[Recording]) -> None:
    own = corpus(clips, sampling=Own())
    assert span(own, clips[0]) == 6
    assert windows(own, clips[0], PLAIN) == [0, 1, 2, 3]
    last = replace(PLAIN, targets="last")
    assert windows(own, clips[0], last) == [0, 1, 2, 3]


def test_several_samples_of_a_clip_validate(model: Model, clips: list[Recording]) -> None:
    two = corpus([clips[0], clips[4]], sampling=Own())
    made = Batches([two], model, recipe=PLAIN, training=False)
    found = [frames for i in range(len(made.plan(0))) for frames in numbers(made[0, i])]
    assert [frames[0] for frames in found] == [0, 3, 0, 7]
    assert [len(planned.members) for planned in made.plan(0)] == [2, 2]
    assert made.left_out == 0
    still = Recording("s", (clips[0].frames or [])[4], clips[0].annotations[4:5])
    alone = corpus([still], sampling=Own())
    assert len(Batches([alone], model, recipe=PLAIN, training=False).plan(0)) == 1


def test_a_source_may_bring_frames_and_truth_to_a_size(model: Model, tmp_path: Path) -> None:
    clip = [make_clip(tmp_path, "one", 3, start=15)] * 2
    recipe = replace(PLAIN, clip_length=1, truth="brightness")
    one = corpus(clip, recipe, sampling=Own(), truth_size=0.0)
    batch = Batches([one], model, recipe=recipe)[0, 0]
    assert batch.density.shape[-2:] == batch.fixations.shape[-2:] == (16, 24)
    row, column = divmod(int(batch.density[0, 0, 0].argmax()), 24)
    assert (row, column) == (12, 15 + numbers(batch)[0][0])
    assert batch.fixations[0, 0, 0, row, column]
    shown = batch.inputs[0, 0, 2] + 0.5  # half of the spot, and 0 elsewhere
    assert abs(int(shown.sum(0).argmax()) / 16 - (column + 0.5) / 24) < 0.1


def test_a_source_may_resize_its_truth_alone(model: Model, clips: list[Recording]) -> None:
    recipe = replace(PLAIN, clip_length=1, truth_size=2.0, truth="brightness")
    one = corpus(clips[:2], recipe, sampling=Doubled())
    batch = Batches([one], model, recipe=recipe)[0, 0]
    assert batch.inputs.shape[-2:] == (12, 16)
    assert batch.density.shape[-2:] == (24, 32)
    plain = batches(model, clips[:2], recipe)[0, 0]
    assert torch.equal(plain.inputs, batch.inputs)
    assert not torch.equal(plain.density, batch.density)


def test_a_source_names_its_sampling() -> None:
    source = Source("folder", sampling=f"{__name__}:OWN")
    assert Corpus.of(Lists([], []), source, PLAIN).sampling is OWN
    assert type(Corpus.of(Lists([], []), Source("folder"), PLAIN).sampling) is Sampling


OWN = Own()
