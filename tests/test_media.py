import operator
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from salcli.errors import InputError, UsageError
from salcli.media.open import find_inputs, open_stimulus, remaining
from salcli.types import Stimulus

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def picture(path: Path, size: tuple[int, int] = (8, 6), level: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def video(path: Path, frames: int = 3, size: str = "64x48") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25")
    command = [FFMPEG, "-v", "error", "-nostdin", *source, "-frames:v", str(frames)]
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p")
    subprocess.run([*command, *codec, "-f", "matroska", path], check=True, timeout=60)
    return path


def levels(stimulus: Stimulus) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in stimulus.frames]


# find_inputs


@pytest.mark.parametrize("address", ["https://example.org/a.mp4", "s3://bucket/*.mp4"])
def test_an_address_is_no_file(address: str) -> None:
    with pytest.raises(UsageError, match="is an address, not a file"):
        find_inputs([address])


def test_files_and_missing_paths_stay(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    missing, no_match = str(tmp_path / "missing.mp4"), str(tmp_path / "*.mp4")
    assert find_inputs([str(image), missing, no_match, str(image)]) == [
        image,
        Path(missing),
        Path(no_match),
    ]


def test_globs_are_in_natural_order_and_find_nested_files(tmp_path: Path) -> None:
    for name in ("f10.png", "f9.png", "sub/f1.png", "sub/.hidden.png"):
        picture(tmp_path / name)
    assert find_inputs([str(tmp_path / "f*.png")]) == [tmp_path / "f9.png", tmp_path / "f10.png"]
    names = [path.name for path in find_inputs([str(tmp_path / "**" / "*.png")])]
    assert sorted(names) == ["f1.png", "f10.png", "f9.png"]
    assert find_inputs([str(tmp_path / "**")]) == [tmp_path]


def test_a_name_that_looks_like_a_glob(tmp_path: Path) -> None:
    image = picture(tmp_path / "a[1].png")
    assert find_inputs([str(image)]) == [image]


def test_folder_of_folders_becomes_its_folders(tmp_path: Path) -> None:
    for clip in ("clip10", "clip9", "clip11/images"):
        picture(tmp_path / clip / "0001.png")
    (tmp_path / "clip11" / "maps").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / ".cache").mkdir()
    picture(tmp_path / ".cache" / "1.png")
    names = [path.name for path in find_inputs([str(tmp_path)])]
    assert names == ["clip9", "clip10", "clip11"]


def test_folder_of_videos_becomes_its_videos(tmp_path: Path) -> None:
    video(tmp_path / "b10.mp4")
    video(tmp_path / "b9.MOV")
    video(tmp_path / "no suffix")
    (tmp_path / "README").write_text("not a video")
    (tmp_path / "list.txt").write_text("nor this")
    (tmp_path / ".b.mp4").touch()
    names = [path.name for path in find_inputs([str(tmp_path)])]
    assert names == ["b9.MOV", "b10.mp4", "no suffix"]


def test_images_and_videos_side_by_side(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    film = video(tmp_path / "b.mkv")
    picture(tmp_path / "thumbnails" / "a.png")
    assert find_inputs([str(tmp_path)]) == [tmp_path, film]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_an_animation_beside_images_is_a_clip_of_its_own(tmp_path: Path, suffix: str) -> None:
    picture(tmp_path / "1.png")
    still = picture(tmp_path / f"2{suffix}")
    first, *rest = (Image.new("L", (8, 6), level) for level in (0, 100, 200))
    moving = tmp_path / f"3{suffix}"
    first.save(moving, save_all=True, append_images=rest, duration=40)
    assert find_inputs([str(tmp_path)]) == [tmp_path, moving]
    assert len(list(open_stimulus(tmp_path).frames)) == 2
    (tmp_path / "1.png").unlink()
    still.unlink()
    assert find_inputs([str(tmp_path)]) == [moving]


def test_links_that_lead_back_up_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert find_inputs([str(tmp_path)]) == [tmp_path]


# open_stimulus


def test_lone_image(tmp_path: Path) -> None:
    stimulus = open_stimulus(picture(tmp_path / "cat.photo.png", level=7))
    assert (stimulus.name, stimulus.size, stimulus.count) == ("cat.photo", (6, 8), 1)
    assert not stimulus.is_clip
    assert levels(stimulus) == levels(stimulus) == [7]
    assert stimulus.label(0) == "cat.photo"
    assert stimulus.time(0) is None


def test_video_is_known_by_content(tmp_path: Path) -> None:
    stimulus = open_stimulus(video(tmp_path / "film.png"))
    assert (stimulus.name, stimulus.fps, stimulus.size) == ("film", 25, (48, 64))
    assert stimulus.count is None
    assert len(list(stimulus.frames)) == 3
    assert [stimulus.label(index) for index in (0, 9999)] == ["0001", "10000"]
    assert stimulus.times == pytest.approx([0, 0.04, 0.08])
    assert operator.length_hint(stimulus.frames) == 3


def test_video_as_stills(tmp_path: Path) -> None:
    stimulus = open_stimulus(video(tmp_path / "film.mkv"), kind="stills")
    assert not stimulus.is_clip
    assert len(list(stimulus.frames)) == 3
    assert stimulus.time(0) is None


def test_animation_is_a_clip(tmp_path: Path) -> None:
    first, *rest = (Image.new("L", (8, 6), level) for level in (0, 100, 200))
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=40)
    stimulus = open_stimulus(tmp_path / "a.gif")
    assert (stimulus.name, stimulus.size, stimulus.count) == ("a", (6, 8), 3)
    assert stimulus.fps == pytest.approx(25)
    assert levels(stimulus) == [0, 100, 200]
    assert stimulus.times == pytest.approx([0, 0.04, 0.08])


def test_numbered_folder_is_a_clip_where_the_model_takes_clips(tmp_path: Path) -> None:
    for number in (8, 9, 10):
        picture(tmp_path / "0001" / f"{number}.png", level=number)
    (tmp_path / "0001" / "Thumbs.db").touch()
    picture(tmp_path / "0001" / ".7.png")
    stimulus = open_stimulus(tmp_path / "0001")
    assert (stimulus.name, stimulus.fps, stimulus.count) == ("0001", 30, 3)
    assert levels(stimulus) == [8, 9, 10]
    assert stimulus.labels == ["8", "9", "10"]
    assert stimulus.time(2) == pytest.approx(2 / 30)
    for options in ({"accepts": frozenset({"stills"})}, {"kind": "stills"}):
        assert not open_stimulus(tmp_path / "0001", **options).is_clip
    assert open_stimulus(tmp_path / "0001", fps=12.5).fps == 12.5


@pytest.mark.parametrize("names", [["1", "3"], ["1"], ["a", "b"], ["1", "2", "x"]])
def test_other_folders_are_stills_unless_the_user_says_clip(
    tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        picture(tmp_path / f"{name}.png")
    assert not open_stimulus(tmp_path).is_clip
    assert open_stimulus(tmp_path, kind="clip").is_clip
    assert open_stimulus(tmp_path, fps=24).fps == 24


def test_images_sub_folder_and_name_of_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "v1.0" / "images" / "0001.png")
    picture(tmp_path / "v1.0" / "images" / "0002.png")
    picture(tmp_path / "v1.0" / "maps" / "0001.png")
    assert open_stimulus(tmp_path / "v1.0").name == "v1.0"
    monkeypatch.chdir(tmp_path / "v1.0")
    assert open_stimulus(Path()).name == "v1.0"
    assert find_inputs(["."]) == [Path()]


def test_labels_are_unique(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "A.bmp", "b.png"):
        picture(tmp_path / name)
    stimulus = open_stimulus(tmp_path)
    assert len(list(stimulus.frames)) == 4
    assert len({label.casefold() for label in stimulus.labels or ()}) == 4
    assert {"a", "b"} <= {label.casefold() for label in stimulus.labels or ()}


def test_stills_leave_out_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    picture(tmp_path / "b.png", (8, 6))
    picture(tmp_path / "c.png", (5, 4))
    stimulus = open_stimulus(tmp_path)
    assert stimulus.size == (6, 8)
    assert [frame.shape for frame in stimulus.frames] == [(6, 8, 3), (4, 5, 3)]
    assert stimulus.labels == ["b", "c"]
    assert len(stimulus.problems) == 1


def test_remaining_decodes_only_what_is_left(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"{name}.png", level=ord(name))
    stimulus = open_stimulus(tmp_path)
    (tmp_path / "a.png").write_text("would be a problem if it were read")
    rest = remaining(stimulus, lambda label: label == "a")
    assert levels(rest) == [ord("b"), ord("c")]
    assert rest.labels == ["b", "c"]
    assert rest.problems == []
    nothing = remaining(stimulus, lambda _: True)
    assert (levels(nothing), nothing.count) == ([], 0)


def test_remaining_leaves_clips_alone(tmp_path: Path) -> None:
    stimulus = open_stimulus(video(tmp_path / "film.mkv"))
    assert remaining(stimulus, lambda _: True) is stimulus


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("words")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "words.txt").write_text("words")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").touch()
    (tmp_path / "broken" / "b.png").touch()
    for name, reason in (
        ("missing.mp4", "does not exist"),
        ("*.mkv", "matches no file"),
        ("empty.mp4", r"is empty \(0 bytes\)"),
        ("empty.png", r"is empty \(0 bytes\)"),
        ("text.png", "neither an image nor a video"),
        ("folder", "holds no images"),
        ("broken", "none of the images"),
        ("x" * 300, "too long"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            open_stimulus(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="above 0"):
        open_stimulus(tmp_path / "folder", fps=0)


def test_broken_frame_of_a_clip_is_an_error(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        picture(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_text("broken")
    frames = iter(open_stimulus(tmp_path).frames)
    assert np.shape(next(frames)) == (6, 8, 3)
    with pytest.raises(InputError, match=r"2\.png"):
        next(frames)


def test_ten_times_the_frames_need_no_more_memory(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the peak of a process's memory is read the way Linux gives it")
    count = "import re, sys; from pathlib import Path"
    count += "; from salcli.media.open import open_stimulus"
    count += "; n = sum(1 for _ in open_stimulus(Path(sys.argv[1])).frames)"
    # not getrusage, which counts the memory of the parent, too
    count += "; status = Path('/proc/self/status').read_text()"
    count += "; print(n, int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)"
    peaks = []
    for frames in (60, 600):
        path = video(tmp_path / f"{frames}.mkv", frames, "320x240")
        command = [sys.executable, "-c", count, str(path)]
        run = subprocess.run(command, check=True, capture_output=True, timeout=60)
        decoded, peak = map(int, run.stdout.split())
        assert decoded == frames
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 20  # all frames together are 138 MB


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "film.mkv", 60)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = threading.active_count()
    frames = iter(open_stimulus(path).frames)
    next(frames)
    assert list(temporary.iterdir())
    frames.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert not list(temporary.iterdir())
    shutil.rmtree(temporary)
