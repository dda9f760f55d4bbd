"""Datasets of a few tiny files in their exact published layouts.

Observers look at known places: `places(name, i)` gives those of frame i of a clip or of a still.
The `miniature` fixture makes them.
"""

from __future__ import annotations

import json
import subprocess
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import gaussian_filter

from salcli.types import Recording

__all__ = ["DHF1K", "Lists", "MAKERS", "SIZE", "blurred", "picture", "places", "save_gaze"]

SIZE = (36, 48)
"""(H, W) of every frame and still but DIEM's, whose names state their sizes."""

OBSERVERS = 3

Array = npt.NDArray[Any]


def places(name: str, index: int, size: tuple[int, int] = SIZE) -> Array:
    """(column, row) from 0 of each observer's fixation, `[3, 2]`, all different."""
    random = np.random.default_rng([zlib.crc32(name.encode()), index])
    pixels = random.choice(size[0] * size[1], OBSERVERS, replace=False)
    return np.stack([pixels % size[1], pixels // size[1]], axis=1)


def picture(name: str, index: int, size: tuple[int, int] = SIZE) -> Array:
    """A smooth RGB picture, uint8."""
    random = np.random.default_rng([zlib.crc32(name.encode()), index, 1])
    noise = Image.fromarray(np.uint8(random.integers(0, 256, (5, 6, 3))))
    return np.asarray(noise.resize(size[::-1], Image.Resampling.BICUBIC))


def fixated(points: Array, size: tuple[int, int] = SIZE) -> Array:
    """A binary map, uint8 `[H, W]`, 255 at the points."""
    marked = np.zeros(size, np.uint8)
    marked[points[:, 1], points[:, 0]] = 255
    return marked


def blurred(points: Array, size: tuple[int, int] = SIZE) -> Array:
    """A density map, uint8 `[H, W]`, whose highest value is 255."""
    density = gaussian_filter(fixated(points, size).astype(float), 3)
    return np.asarray(np.round(255 * density / density.max()), np.uint8)


def save(path: Path, pixels: Array) -> None:
    """Write a picture; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def save_gaze(path: Path, observers: Sequence[Array], size: tuple[int, int] = SIZE) -> None:
    """SALICON's `.mat`: positions (x, y) from 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [("location", "O"), ("timestamp", "O"), ("fixations", "O")]
    gaze = np.zeros((len(observers), 1), dtype=fields)
    for row, points in enumerate(observers):
        gaze[row, 0]["location"] = points + 1.25
        gaze[row, 0]["timestamp"] = 10.0 * np.arange(len(points))[:, None]
        gaze[row, 0]["fixations"] = np.uint16(points + 1)
    savemat(path, {"gaze": gaze, "resolution": np.array([size]), "image": path.stem})


def save_video(path: Path, frames: Sequence[Array], *, fps: int = 30, codec: str = "") -> None:
    """RGB frames as a video; `codec` are further options of ffmpeg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    command += [*(codec or "-c:v libx264 -qp 10 -pix_fmt yuv420p").split(), str(path)]
    subprocess.run(command, input=np.stack(frames).tobytes(), check=True)


def annotate(folder: Path, name: str, labels: Sequence[str], *, matrices: bool = False) -> None:
    """`maps/` and `fixation/` of a clip."""
    for index, label in enumerate(labels):
        points = places(name, index)
        save(folder / "maps" / f"{label}.png", blurred(points))
        save(folder / "fixation" / f"{label}.png", fixated(points))
        if matrices:
            target = folder / "fixation" / "maps" / f"{label}.mat"
            target.parent.mkdir(exist_ok=True)
            savemat(target, {"I": fixated(points) // 255})


def frames(folder: Path, name: str, labels: Sequence[str]) -> None:
    """Write the frames of a clip as PNG files."""
    for index, label in enumerate(labels):
        save(folder / f"{label}.png", picture(name, index))


DHF1K = {1: 12, 2: 10, 3: 9, 601: 8, 602: 7, 701: 6}


def numbers(count: int, first: int = 1, digits: int = 4) -> list[str]:
    """Numbers with leading zeros."""
    return [f"{number:0{digits}d}" for number in range(first, first + count)]


DHF1K_LONG = {1: 16, 2: 16, 3: 16, 601: 16}
"""Clips of just the length that TASED-Net needs at least."""


def dhf1k(root: Path, videos: dict[int, int] = DHF1K) -> None:
    """Annotations as distributed, with the frames extracted beside them."""
    for video, count in videos.items():
        folder = root / "annotation" / f"{video:04d}"
        frames(folder / "images", f"dhf1k{video}", numbers(count))
        if video <= 700:
            annotate(folder, f"dhf1k{video}", numbers(count), matrices=True)


def dhf1k_videos(root: Path) -> None:
    """As distributed: videos and annotations."""
    for video, count in DHF1K.items():
        pictures = [picture(f"dhf1k{video}", index) for index in range(count)]
        save_video(root / "video" / f"{video:03d}.AVI", pictures, codec="-c:v mpeg4 -q:v 2")
        if video <= 700:
            folder = root / "annotation" / f"{video:04d}"
            annotate(folder, f"dhf1k{video}", numbers(count), matrices=True)


HOLLYWOOD = {
    ("training", "actioncliptrain00001_1"): (1, 9),
    ("training", "actioncliptrain00001_2"): (10, 8),
    ("training", "actioncliptrain00002_1"): (1, 10),
    ("training", "actioncliptrain00456_1"): (1, 7),  # one of UNISAL's validation videos
    ("training", "actioncliptrain00747_1"): (1, 7),  # never used by UNISAL
    ("testing", "actioncliptest00001_1"): (1, 8),
    ("testing", "actioncliptest00010_1"): (5, 6),
}


def hollywood2(root: Path) -> None:
    """Hollywood-2 as spread with DHF1K."""
    for (part, clip), (first, count) in HOLLYWOOD.items():
        stem = clip.rpartition("_")[0]
        labels = [f"{stem}_{label}" for label in numbers(count, first, 5)]
        frames(root / part / clip / "images", clip, labels)
        annotate(root / part / clip, clip, labels)


UCF = {
    ("training", "Diving-Side-005"): 10,
    ("training", "Diving-Side-006"): 9,
    ("training", "Diving-Side-007"): 8,
    ("training", "Diving-Side-014"): 8,
    ("testing", "Diving-Side-001"): 8,
    ("testing", "Golf-Swing-Back-001"): 6,
}


def ucfsports(root: Path, clips: dict[tuple[str, str], int] = UCF) -> None:
    """UCF-Sports as spread with DHF1K."""
    for (part, clip), count in clips.items():
        name, _, number = clip.rpartition("-")
        labels = [f"{name}_{number}_{label}" for label in numbers(count, digits=3)]
        frames(root / part / clip / "images", clip, labels)
        annotate(root / part / clip, clip, labels)


SALICON = {"train": (9, 25, 30, 34, 36, 49), "val": (133, 143, 164), "test": (1, 14)}


def salicon(root: Path) -> None:
    """One flat folder of images."""
    for part, ids in SALICON.items():
        for number in ids:
            name = f"COCO_{part}2014_{number:012d}"
            save(root / "images" / f"{name}.jpg", picture(name, 0))
            if part != "test":
                points = places(name, 0)
                save(root / "maps" / part / f"{name}.png", blurred(points))
                # one observer looks twice at one place, another nowhere
                observers = [points[[0, 0]], points[[1, 2]], points[:0]]
                save_gaze(root / "fixations" / part / f"{name}.mat", observers)


def mit1003(root: Path) -> None:
    """MIT1003."""
    for number in range(20):
        name = f"i{1000 + 37 * number % 97}"
        points = places(name, 0)
        save(root / "ALLSTIMULI" / "ALLSTIMULI" / f"{name}.jpeg", picture(name, 0))
        truth = root / "ALLFIXATIONMAPS" / "ALLFIXATIONMAPS"
        save(truth / f"{name}_fixMap.jpg", blurred(points))
        save(truth / f"{name}_fixPts.jpg", fixated(points))


def mit300(root: Path) -> None:
    """MIT300."""
    for number in (1, 2, 10, 300):
        save(root / "BenchmarkIMAGES" / f"i{number}.jpg", picture(f"i{number}", 0))


DIEM = {
    "game_trailer_64x48": 9,
    "hummingbirds_closeups_64x48": 8,
    "one_show_1280x712": 4,  # a test video
}


def diem_size(name: str) -> tuple[int, int]:
    """(H, W) that the name of a DIEM clip states."""
    width, _, height = name.rpartition("_")[2].partition("x")
    return int(height), int(width)


def diem(root: Path) -> None:
    """Positions on the display of 1280 x 960, on which the video is centred."""
    for name, count in DIEM.items():
        size = diem_size(name)
        pictures = [picture(name, index, size) for index in range(count)]
        save_video(root / name / "video" / f"{name}.mp4", pictures)
        events = root / name / "event_data"
        events.mkdir()
        shift = np.array([(1280 - size[1]) / 2, (960 - size[0]) / 2])
        for observer in range(OBSERVERS):
            rows = []
            for index in range(count - (observer == 2)):  # one lacks the last row
                x, y = places(name, index, size)[observer] + 0.5 + shift
                event = 2 if (observer, index) == (1, 0) else 1  # one is in a saccade at first
                rows.append(f"{index + 1} {x - 1:.2f} {y} 900 {event} {x + 1:.2f} {y} 900 1")
            (events / f"diem1s{observer + 1:02d}_{name}.txt").write_text("\n".join(rows) + "\n")


def diem_bundle(root: Path) -> None:
    """As spread with STAViS."""
    for name, count in {"game_trailer_64x48": 6, "one_show_1280x712": 5}.items():
        for index, label in enumerate(numbers(count, digits=5)):
            save(root / "video_frames" / "DIEM" / name / f"img_{label}.jpg", picture(name, index))
            truth = root / "annotations" / "DIEM" / name
            save(truth / "maps" / f"eyeMap_{label}.jpg", blurred(places(name, index)))
            savemat(truth / f"fixMap_{label}.mat", {"eyeMap": fixated(places(name, index)) // 255})


def osie(root: Path) -> None:
    """OSIE."""
    for number in range(1002, 1016):
        name = str(number)
        if (number - 1001) % 7:  # the others are a hidden test set
            points = places(name, 0)
            save(root / "images" / f"{name}.jpg", picture(name, 0))
            save(root / "maps" / f"{name}.png", blurred(points))
            save_gaze(root / "fixations" / f"{name}.mat", [points[[i]] for i in range(OBSERVERS)])


AVIMOS = {
    "train": {"video_1": 6, "video_2": 5, "video_10": 4},
    "public_test": {"video_3": 5},
    "private_test": {"video_4": 4},
}


def avimos(root: Path) -> None:
    """Fixations as [row, column]; densities as 10-bit video without loss."""
    for split, videos in AVIMOS.items():
        part = "Train" if split == "train" else "Test"
        for name, count in videos.items():
            pictures = [picture(name, index) for index in range(count)]
            save_video(root / "Videos" / f"{name}.mp4", pictures, fps=25)
            maps = [np.stack([blurred(places(name, i))] * 3, -1) for i in range(count)]
            save_video(
                root / f"Saliency{part}" / part / f"{name}.mp4",
                maps,
                fps=25,
                codec="-c:v libx264 -crf 0 -pix_fmt yuv420p10le",
            )
            target = root / f"Fixations{part}" / part / name / "fixations.json"
            target.parent.mkdir(parents=True)
            target.write_text(json.dumps([places(name, i)[:, ::-1].tolist() for i in range(count)]))
    split_names = {split: list(videos) for split, videos in AVIMOS.items()}
    (root / "TrainTestSplit.json").write_text(json.dumps(split_names))


def clips(root: Path) -> None:
    """The layout `folder` with a still, a clip of frames, a video, and a clip in one folder."""
    save(root / "images" / "still.jpg", picture("still", 0))
    save(root / "maps" / "still.png", blurred(places("still", 0)))
    frames(root / "images" / "walk", "walk", numbers(5))
    for index, label in enumerate(numbers(5)):
        save(root / "maps" / "walk" / f"{label}.png", blurred(places("walk", index)))
        save(root / "fixations" / "walk" / f"{label}.png", fixated(places("walk", index)))
    save_video(root / "videos" / "run.mp4", [picture("run", index) for index in range(4)])
    positions = [places("run", index)[:, ::-1].tolist() for index in range(4)]
    (root / "fixations" / "run.json").write_text(json.dumps(positions))
    frames(root / "jump" / "images", "jump", numbers(3))
    annotate(root / "jump", "jump", numbers(3))


class Lists:
    """A dataset of given recordings."""

    name, edition, splits, evaluated, kernel = "lists", "", ("train", "valid"), "valid", "default"
    submission, problems = None, ()

    def __init__(self, training: Sequence[Recording], kept: Sequence[Recording]) -> None:
        self.parts = {"train": training, "valid": kept}

    def recordings(self, split: str, /) -> Sequence[Recording]:
        """Those of one split."""
        return self.parts[split]


MAKERS: dict[str, Callable[[Path], None]] = {
    "avimos": avimos,
    "clips": clips,
    "dhf1k": dhf1k,
    "dhf1k_long": partial(dhf1k, videos=DHF1K_LONG),
    "dhf1k_videos": dhf1k_videos,
    "diem": diem,
    "diem_bundle": diem_bundle,
    "hollywood2": hollywood2,
    "mit1003": mit1003,
    "mit300": mit300,
    "osie": osie,
    "salicon": salicon,
    "ucfsports": ucfsports,
}
