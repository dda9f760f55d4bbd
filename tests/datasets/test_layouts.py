"""Every layout: which recordings there are, which files belong together, what is missing."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from salcli.datasets.collection import Collection
from salcli.datasets.hollywood2 import validation_videos
from salcli.datasets.mit1003 import fold_positions
from salcli.datasets.open import open_dataset
from salcli.datasets.published import dhf1k_frames, ucf_sports_clips
from salcli.datasets.ucfsports import validation_clips
from salcli.errors import InputError, UnknownName, UsageError
from salcli.gaze import groundtruth
from salcli.media import images, mapvideo
from salcli.media.open import open_stimulus
from salcli.testing import miniatures
from salcli.testing.miniatures import places
from salcli.types import Dataset, Recording

Miniature = Callable[[str], Path]


def names(dataset: Dataset, split: str) -> list[str]:
    return [recording.name for recording in dataset.recordings(split)]


def pixels(recording: Recording, index: int, size: tuple[int, int]) -> set[tuple[int, int]]:
    """(column, row) of the fixated pixels of a frame."""
    points = groundtruth.read_fixations(recording.annotations[index], size).points
    return {(int(x), int(y)) for x, y in points}


def looked(name: str, index: int, size: tuple[int, int] = (36, 48)) -> set[tuple[int, int]]:
    return {(int(x), int(y)) for x, y in places(name, index, size)}


def check_clip(recording: Recording, name: str, count: int, *, first: str) -> None:
    """Every annotation has the map and the fixations of its own frame."""
    annotations = recording.annotations
    assert len(annotations) == count
    assert annotations[0].label == first
    assert recording.is_clip
    for index, annotation in enumerate(annotations):
        assert pixels(recording, index, (36, 48)) == looked(name, index)
        density = groundtruth.read_density(annotation, (36, 48))
        top = {(int(x), int(y)) for y, x in np.argwhere(density > density.max() * 0.5)}
        assert top & looked(name, index)
    if recording.frames is not None:
        assert len(recording.frames) == count
        assert all(path.is_file() for path in recording.frames)


def test_dhf1k_with_extracted_frames(miniature: Miniature) -> None:
    data = open_dataset("dhf1k", [miniature("dhf1k")])
    assert names(data, "train") == ["train/0001", "train/0002", "train/0003"]
    assert names(data, "valid") == ["valid/0601", "valid/0602"]
    check_clip(data.recordings("train")[1], "dhf1k2", 10, first="0001")
    (test,) = data.recordings("test")
    assert [a.label for a in test.annotations] == [f"{i:04d}" for i in range(1, 7)]
    assert all(a.density is None and a.fixations is None for a in test.annotations)
    assert any("'0603', '0604', '0605' and 95 more" in problem for problem in data.problems)


def test_dhf1k_as_distributed(miniature: Miniature) -> None:
    data = open_dataset("dhf1k", [miniature("dhf1k_videos")])
    recording = data.recordings("valid")[0]
    assert recording.source.name == "601.AVI"
    assert recording.frames is None
    check_clip(recording, "dhf1k601", 8, first="0001")
    assert len(list(open_stimulus(recording.source).frames)) == 8
    # nothing says how many frames a test video has but the video
    assert len(data.recordings("test")[0].annotations) == 6


@pytest.mark.parametrize(
    ("frames", "maps", "fixations", "label"),
    [
        ("video/0002", "annotation/0002/maps", "annotation/0002/fixation", "0001.png"),  # TASED-Net
        ("frames/2", "maps/2", "fixations/2", "1.png"),  # SalEMA
        ("0002/images", "0002/maps", "0002/fixation", "0001.png"),  # generate_frame.m
    ],
)
def test_dhf1k_where_others_put_it(
    tmp_path: Path, miniature: Miniature, frames: str, maps: str, fixations: str, label: str
) -> None:
    whole = miniature("dhf1k") / "annotation" / "0002"
    moved = {"images": frames, "maps": maps, "fixation": fixations}
    for kind, target in moved.items():
        for path in sorted((whole / kind).glob("*.png")):
            name = label if path.stem == "0001" else path.name
            if label == "1.png":
                name = f"{int(path.stem)}.png"
            (tmp_path / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / target / name)
    recording = open_dataset("dhf1k", [tmp_path]).recordings("train")[0]
    assert recording.source == tmp_path / frames
    check_clip(recording, "dhf1k2", 10, first="0001")
    assert [path.stem.zfill(4) for path in recording.frames or ()] == [
        annotation.label for annotation in recording.annotations
    ]


def test_dhf1k_fixations_as_matrices_alone(tmp_path: Path, miniature: Miniature) -> None:
    root = shutil.copytree(miniature("dhf1k"), tmp_path / "copy")
    for path in root.glob("annotation/0001/fixation/*.png"):
        path.unlink()
    recording = open_dataset("dhf1k", [root]).recordings("train")[0]
    assert recording.annotations[0].fixations == root / "annotation/0001/fixation/maps/0001.mat"
    check_clip(recording, "dhf1k1", 12, first="0001")


def test_hollywood2_shots_and_first_frames(miniature: Miniature) -> None:
    data = open_dataset("hollywood2", [miniature("hollywood2")])
    assert names(data, "train") == [
        "training/actioncliptrain00001_1",
        "training/actioncliptrain00001_2",
    ]
    second = data.recordings("train")[1]
    check_clip(second, "actioncliptrain00001_2", 8, first="actioncliptrain00001_00010")
    assert "training/actioncliptrain00456_1" in names(data, "valid")
    assert "training/actioncliptrain00747_1" not in [*names(data, "train"), *names(data, "valid")]
    assert len(names(data, "training")) == 5
    assert data.submission is not None
    recording = data.recordings("test")[1]
    path = data.submission.path(recording, recording.annotations[0])
    assert path == Path("actioncliptest00010_1/actioncliptest00010_00005.png")


def test_hollywood2_validation_is_unisals() -> None:
    held = validation_videos()
    assert len(held) == 75
    assert {456, 698, 270, 202, 162, 556, 402, 477} <= held
    assert max(held) <= 700


def test_ucfsports(miniature: Miniature) -> None:
    data = open_dataset("ucfsports", [miniature("ucfsports")])
    assert names(data, "train") == [f"training/Diving-Side-{n}" for n in ("005", "006", "014")]
    assert names(data, "valid") == ["training/Diving-Side-007"]
    assert names(data, "test") == ["testing/Diving-Side-001", "testing/Golf-Swing-Back-001"]
    recording = data.recordings("train")[0]
    check_clip(recording, "Diving-Side-005", 10, first="Diving-Side_005_001")
    assert data.submission is not None
    path = data.submission.path(recording, recording.annotations[2])
    assert path == Path("Diving-Side-005/Diving-Side_005_003.png")
    assert any("missing: 'Diving-Side-008'" in problem for problem in data.problems)


def test_published_counts() -> None:
    train, test = ucf_sports_clips("train"), ucf_sports_clips("test")
    assert (len(train), sum(train.values())) == (103, 6501)
    assert (len(test), sum(test.values())) == (47, 2929)
    assert len(validation_clips()) == 10
    assert (len(dhf1k_frames()), sum(dhf1k_frames())) == (1000, 582_605)


@pytest.mark.parametrize("nested", [False, True])
def test_salicon(tmp_path: Path, miniature: Miniature, nested: bool) -> None:
    root = miniature("salicon")
    if nested:
        root = shutil.copytree(root, tmp_path / "copy")
        for path in root.glob("images/*.jpg"):
            part = path.name.split("_")[1].removesuffix("2014")
            (root / "images" / part).mkdir(exist_ok=True)
            path.rename(root / "images" / part / path.name)
    data = open_dataset("salicon", [root], options=["edition=2017"])
    assert data.edition == "2017"
    assert [len(data.recordings(split)) for split in ("train", "valid", "test")] == [6, 3, 2]
    recording = data.recordings("valid")[0]
    name = "COCO_val2014_000000000133"
    assert recording.name == f"valid/{name}"
    (annotation,) = recording.annotations
    found = groundtruth.read_fixations(annotation, (36, 48))
    points = places(name, 0)
    assert found.points.tolist() == (points[[0, 0, 1, 2]] + 0.5).tolist()
    assert found.observers.tolist() == [0, 0, 1, 1]
    assert data.recordings("test")[0].annotations[0].density is None


def test_salicon_with_binary_maps_and_without_some(tmp_path: Path, miniature: Miniature) -> None:
    root = shutil.copytree(miniature("salicon"), tmp_path / "copy")
    shutil.rmtree(root / "fixations" / "val")
    name = "COCO_val2014_000000000133"
    shutil.copytree(root / "maps" / "val", root / "fixation_maps" / "val")
    (root / "maps" / "val" / f"{name}.png").unlink()
    data = open_dataset("salicon", [root])
    annotation = data.recordings("valid")[0].annotations[0]
    assert annotation.fixations == root / "fixation_maps" / "val" / f"{name}.png"
    assert annotation.density is None
    assert data.edition == "unknown"
    assert f"valid: no map of '{name}.jpg'" in data.problems


def test_mit1003(miniature: Miniature) -> None:
    folds = [
        open_dataset("mit1003", [miniature("mit1003")], options={"fold": fold}) for fold in range(3)
    ]
    assert len(names(folds[0], "all")) == 20
    held = [set(names(data, "valid")) for data in folds]
    assert [len(one) for one in held] == [2, 2, 2]
    assert not held[0] & held[1]
    for data, one in zip(folds, held, strict=True):
        assert set(names(data, "train")) == set(names(data, "all")) - one
    recording = folds[0].recordings("all")[0]
    # fixation points are JPEG: what is grey around them is none
    assert pixels(recording, 0, (36, 48)) == looked(recording.annotations[0].label, 0)
    assert recording.annotations[0].density is not None
    assert "20 of 1003 images" in folds[0].problems[0]


def test_mit1003_with_the_fixations_of_each_observer(tmp_path: Path, miniature: Miniature) -> None:
    root = shutil.copytree(miniature("mit1003"), tmp_path / "copy")
    observers = [np.array([[7, 9], [7, 9]]), np.array([[3, 4]])]
    miniatures.save_gaze(root / "fixations" / "i1005.mat", observers)
    data = open_dataset("mit1003", [root])
    assert data.edition == "fold 0, fixations by observer"
    found = {r.name: r.annotations[0] for r in data.recordings("all")}["mit1003/i1005"]
    seen = groundtruth.read_fixations(found, (36, 48))
    assert seen.points.tolist() == [[7.5, 9.5], [7.5, 9.5], [3.5, 4.5]]
    assert seen.observers.tolist() == [0, 0, 1]
    lacking = "all: no file in 'fixations' of 'i1000', 'i1010', 'i1014' and 16 more"
    assert data.problems[1:] == [lacking]


def test_mit1003_folds_are_unisals() -> None:
    folds = [fold_positions(fold) for fold in range(10)]
    assert [len(fold) for fold in folds] == [100, 100, 100, 101, 100, 100, 101, 100, 100, 101]
    assert folds[0][:6] == [968, 675, 702, 127, 184, 435]
    assert folds[9][-6:] == [752, 824, 543, 840, 696, 19]
    assert sorted(position for fold in folds for position in fold) == list(range(1003))


def test_mit300_in_the_order_of_numbers(miniature: Miniature) -> None:
    data = open_dataset("mit300", [miniature("mit300")])
    assert names(data, "test") == [f"mit300/i{n}" for n in (1, 2, 10, 300)]
    recording = data.recordings("test")[2]
    assert data.submission is not None
    assert data.submission.path(recording, recording.annotations[0]) == Path("i10.png")


def test_diem_centres_the_video_on_the_display(miniature: Miniature) -> None:
    data = open_dataset("diem", [miniature("diem")], options={"hold_out": "2"})
    (recording,) = data.recordings("train")
    assert recording.name == "diem/hummingbirds_closeups_64x48"
    size = (48, 64)
    name = "hummingbirds_closeups_64x48"
    assert len(recording.annotations) == 8
    everyone = places(name, 0, size)
    found = groundtruth.read_fixations(recording.annotations[0], size)
    assert found.observers.tolist() == [0, 2]  # the second is in a saccade
    assert found.points.tolist() == (everyone[[0, 2]] + 0.5).tolist()
    last = groundtruth.read_fixations(recording.annotations[7], size)
    assert last.observers.tolist() == [0, 1]  # the third lacks the row
    # twice as large, as far apart
    large = groundtruth.read_fixations(recording.annotations[0], (96, 128))
    assert large.points.tolist() == (2 * found.points).tolist()


def test_diem_by_eye(miniature: Miniature) -> None:
    size, name = (48, 64), "hummingbirds_closeups_64x48"
    for eye, shift in (("left", -1), ("right", 1)):
        data = open_dataset("diem", [miniature("diem")], options={"hold_out": "2", "eye": eye})
        annotation = data.recordings("train")[0].annotations[3]
        found = groundtruth.read_fixations(annotation, size)
        expected = places(name, 3, size) + np.array([0.5 + shift, 0.5])
        inside = (expected[:, 0] >= 0) & (expected[:, 0] < 64)
        assert found.points.tolist() == expected[inside].tolist()
        assert found.outside == np.count_nonzero(~inside)
        assert data.edition == f"{eye} eye"


def test_diem_test_videos(miniature: Miniature) -> None:
    data = open_dataset("diem", [miniature("diem")])
    assert names(data, "test") == ["diem/one_show_1280x712"]
    assert len(data.recordings("test")[0].annotations) == 4
    assert pixels(data.recordings("test")[0], 1, (712, 1280)) == looked(
        "one_show_1280x712", 1, (712, 1280)
    )


def test_diem_as_spread_with_stavis(miniature: Miniature) -> None:
    data = open_dataset("diem", [miniature("diem_bundle")])
    check_clip(data.recordings("training")[0], "game_trailer_64x48", 6, first="img_00001")
    check_clip(data.recordings("test")[0], "one_show_1280x712", 5, first="img_00001")


def test_osie(miniature: Miniature) -> None:
    data = open_dataset("osie", [miniature("osie")])
    assert names(data, "valid") == ["osie/1004", "osie/1011"]
    assert len(names(data, "train")) == 10
    assert len(names(data, "all")) == 12
    assert pixels(data.recordings("all")[0], 0, (36, 48)) == looked("1002", 0)
    assert {"train", "valid", "test", "all"} == {*data.splits}


def test_avimos(miniature: Miniature) -> None:
    data = open_dataset("avimos", [miniature("avimos")], options=["hold_out=3:1"])
    assert names(data, "train") == ["train/video_1", "train/video_10"]
    assert names(data, "valid") == ["train/video_2"]
    assert names(data, "test") == ["test/video_3", "test/video_4"]
    assert names(data, "private_test") == ["test/video_4"]
    recording = data.recordings("train")[0]
    check_clip(recording, "video_1", 6, first="0001")
    assert recording.annotations[3].index == 3
    assert data.submission is not None
    assert data.submission.is_video
    assert data.submission.path(recording, recording.annotations[0]) == Path("video_1.mp4")


def test_avimos_densities_back_and_forth(miniature: Miniature) -> None:
    """The decoder goes on where it is, starts again for an earlier frame, and keeps the depth."""
    recording = open_dataset("avimos", [miniature("avimos")]).recordings("training")[0]
    for index in (0, 2, 2, 1, 5, 0):
        density = groundtruth.read_density(recording.annotations[index], (36, 48))
        expected = miniatures.blurred(places("video_1", index)) / 255
        assert density.dtype == np.float32
        assert np.corrcoef(density.ravel(), expected.ravel())[0, 1] > 0.9999


def test_avimos_needs_its_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"TrainTestSplit\.json"):
        open_dataset("avimos", [tmp_path])
    (tmp_path / "TrainTestSplit.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="does not list the videos"):
        open_dataset("avimos", [tmp_path])


def test_folder_with_stills_and_clips(miniature: Miniature) -> None:
    data = open_dataset("folder", [miniature("clips")])
    found = {r.name: r for r in data.recordings("all")}
    assert list(found) == [f"clips/{name}" for name in ("jump", "run", "still", "walk")]
    check_clip(found["clips/walk"], "walk", 5, first="0001")
    check_clip(found["clips/jump"], "jump", 3, first="0001")
    check_clip(found["clips/run"], "run", 4, first="0001")
    assert not found["clips/still"].is_clip
    assert images.size_of(found["clips/still"].source) == (36, 48)


def test_annotations_can_be_sliced_and_counted_from_the_end(miniature: Miniature) -> None:
    recording = open_dataset("dhf1k", [miniature("dhf1k")]).recordings("train")[0]
    assert recording.annotations[-1].label == "0012"
    assert [a.label for a in recording.annotations[::5]] == ["0001", "0006", "0011"]
    with pytest.raises(IndexError):
        recording.annotations[12]


def test_a_frame_without_a_map_has_none(tmp_path: Path, miniature: Miniature) -> None:
    root = shutil.copytree(miniature("ucfsports"), tmp_path / "copy")
    (root / "training/Diving-Side-005/maps/Diving-Side_005_004.png").unlink()
    annotations = open_dataset("ucfsports", [root]).recordings("train")[0].annotations
    assert [a.density is None for a in annotations].index(True) == 3
    assert annotations[4].density is not None
    assert annotations[4].density.name == "Diving-Side_005_005.png"


def test_roots_come_from_the_environment(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIT300_DATA_DIR", raising=False)
    with pytest.raises(UsageError, match="root folder, or set MIT300_DATA_DIR"):
        open_dataset("mit300")
    monkeypatch.setenv("MIT300_DATA_DIR", str(miniature("mit300")))
    assert len(open_dataset("mit300").recordings("test")) == 4


def test_what_cannot_be_opened_is_told(tmp_path: Path, miniature: Miniature) -> None:
    root = miniature("mit300")
    with pytest.raises(InputError, match="no folder"):
        open_dataset("mit300", [tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="has one root folder, not 2"):
        open_dataset("mit300", [root, tmp_path])
    with pytest.raises(UsageError, match="has no options"):
        open_dataset("mit300", [root], options=["fold=1"])
    with pytest.raises(UsageError, match=r"fold=10 of dataset .*at least 0 and at most 9"):
        open_dataset("mit1003", [root], options=["fold=10"])
    with pytest.raises(UnknownName, match="did you mean fold"):
        open_dataset("mit1003", [root], options=["fodl=1"])
    with pytest.raises(UnknownName, match="split of dataset 'mit300'"):
        open_dataset("mit300", [root]).recordings("train")
    with pytest.raises(InputError, match="nothing of the split 'valid'"):
        open_dataset("dhf1k", [tmp_path]).recordings("valid")


def test_unpacked_by_half(tmp_path: Path, miniature: Miniature) -> None:
    """A clip folder without frames, and one of which only annotations were unpacked."""
    root = shutil.copytree(miniature("ucfsports"), tmp_path / "copy")
    shutil.rmtree(root / "training/Diving-Side-006/images")
    data = open_dataset("ucfsports", [root])
    assert names(data, "train") == ["training/Diving-Side-005", "training/Diving-Side-014"]
    assert any("Diving-Side-006' has no folder 'images'" in line for line in data.problems)


def test_every_miniature_fits_the_protocol(miniature: Miniature) -> None:
    for name in ("dhf1k", "osie", "avimos", "diem", "salicon", "mit1003"):
        data: Dataset = open_dataset(name, [miniature(name)])
        assert isinstance(data, Collection)
        assert data.name == name
        assert data.evaluated in data.splits
        found = [r for split in data.splits if split != "test" for r in data.recordings(split)]
        assert all(recording.source.exists() for recording in found)


@pytest.mark.parametrize("name", ["dhf1k", "diem", "salicon"])
def test_recordings_travel_between_processes(miniature: Miniature, name: str) -> None:
    recording = open_dataset(name, [miniature(name)]).recordings("train")[0]
    before = list(recording.annotations)
    travelled = pickle.loads(pickle.dumps(recording))
    assert list(travelled.annotations) == before
    assert travelled.source == recording.source


def test_videos_of_maps_in_turns(miniature: Miniature) -> None:
    """More of them than decoders that stay open: each still goes on at its own frame."""
    recordings = open_dataset("avimos", [miniature("avimos")]).recordings("training")
    maps = {
        (recording.name, index): groundtruth.read_density(recording.annotations[index], (36, 48))
        for index in range(4)
        for recording in recordings
    }
    assert len(recordings) > mapvideo.OPEN_DECODERS == len(mapvideo._decoders)
    again = groundtruth.read_density(recordings[0].annotations[2], (36, 48))
    assert np.array_equal(again, maps[recordings[0].name, 2])
    assert len({density.tobytes() for density in maps.values()}) == len(maps)
    density = recordings[0].annotations[0].density
    assert density is not None
    with pytest.raises(InputError, match="has no frame 7"):
        mapvideo.read(density, 6)


def test_a_video_of_maps_that_breaks_off(tmp_path: Path, miniature: Miniature) -> None:
    root = shutil.copytree(miniature("avimos"), tmp_path / "copy")
    (root / "SaliencyTrain/Train/video_1.mp4").write_bytes(b"no video")
    recording = open_dataset("avimos", [root]).recordings("training")[0]
    with pytest.raises(InputError, match=r"video_1\.mp4' has no frame 1"):
        groundtruth.read_density(recording.annotations[0], (36, 48))
