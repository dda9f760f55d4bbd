"""DIEM (Mital et al. 2011): 84 videos of 30 frames/s with sound, about 50 observers each.

As published: `VIDEO/video/VIDEO.mp4` and `VIDEO/event_data/OBSERVER.txt`, positions on the display,
on which the video was centred. As distributed with STAViS:
`video_frames/DIEM/VIDEO/img_00001.jpg` and `annotations/DIEM/VIDEO/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from salcli.datasets.cliptree import clip_folders
from salcli.datasets.collection import Collection, Found, lone_root
from salcli.datasets.framefiles import WholeClip, clip
from salcli.datasets.holdout import HoldOut, HoldOutOption
from salcli.gaze.files import count_frames
from salcli.media import mapvideo
from salcli.specs import option
from salcli.types import Eye, Recording

__all__ = ["TEST", "DiemOptions", "open_diem"]

FPS = 30.0
VIDEOS = 84

TEST = frozenset(
    {
        "BBC_life_in_cold_blood_1278x710",
        "BBC_wildlife_serpent_1280x704",
        "DIY_SOS_1280x712",
        "advert_bbc4_bees_1024x576",
        "advert_bbc4_library_1024x576",
        "advert_iphone_1272x720",
        "ami_ib4010_closeup_720x576",
        "ami_ib4010_left_720x576",
        "harry_potter_6_trailer_1280x544",
        "music_gummybear_880x720",
        "music_trailer_nine_inch_nails_1280x720",
        "news_tony_blair_resignation_720x540",
        "nightlife_in_mozambique_1280x580",
        "one_show_1280x712",
        "pingpong_angle_shot_960x720",
        "pingpong_no_bodies_960x720",
        "sport_scramblers_1280x720",
        "sport_wimbledon_federer_final_1280x704",
        "tv_uni_challenge_final_1280x712",
        "university_forum_construction_ionic_1280x720",
    }
)
"""The test videos of Borji et al. 2013."""

TESTED_FRAMES = 300
"""Number of frames of each test video that count (Borji et al. 2013)."""


@dataclass(frozen=True)
class DiemOptions(HoldOutOption):
    """Options of the layout."""

    eye: Eye = option("both", "both (the mean of both eyes, where both fixate), left or right")


def open_diem(roots: Sequence[Path], options: DiemOptions) -> Collection:
    """DIEM below its root; `training` is all but the test videos, `train` and `valid` its parts."""
    root, rule = lone_root("diem", roots), HoldOut.parse(options.hold_out)
    splits = ("train", "valid", "test", "training")
    return Collection(
        name="diem",
        finders={split: partial(_find, root, split, rule, options.eye) for split in splits},
        evaluated="test",
        edition="" if options.eye == "both" else f"{options.eye} eye",
        kernel="diem",
        expected={"test": sorted(TEST), "training": VIDEOS - len(TEST)},
    )


def _find(root: Path, split: str, rule: HoldOut, eye: Eye) -> Found:
    bundle = root / "video_frames" / "DIEM"
    folders = clip_folders(bundle if bundle.is_dir() else root)
    wanted = [folder for folder in folders if (folder.name in TEST) == (split == "test")]
    for folder in rule.part(wanted, split):
        if bundle.is_dir():
            yield _in_bundle(root, folder, tested=split == "test")
        else:
            yield from _published(folder, eye, tested=split == "test")


def _published(folder: Path, eye: Eye, *, tested: bool) -> Iterator[Recording | str]:
    video = folder / "video" / f"{folder.name}.mp4"
    events = folder / "event_data"
    if not video.is_file():
        yield f"no video '{video}'"
        return
    if not events.is_dir():
        yield f"no folder '{events}'"
    count = partial(_count, video, events, TESTED_FRAMES if tested else None)
    fixations = events if events.is_dir() else None
    annotations = WholeClip(count, fixations=fixations, eye=eye)
    yield Recording(f"diem/{folder.name}", video, annotations, fps=FPS)


def _count(video: Path, events: Path, most: int | None) -> int:
    """Frames of the video, as far as the events go (they end a frame or two before or after it)."""
    counts = [mapvideo.count_frames(video)]
    if events.is_dir():
        counts.append(count_frames(events))
    return min(counts if most is None else [*counts, most])


def _in_bundle(root: Path, frames: Path, *, tested: bool) -> Recording | str:
    annotations = root / "annotations" / "DIEM" / frames.name
    found = clip(
        f"diem/{frames.name}",
        frames=[frames],
        maps=[annotations / "maps"],
        fixations=[annotations],
        fps=FPS,
    )
    if found is None:
        return f"no frames in '{frames}'"
    if not tested:
        return found
    start = slice(TESTED_FRAMES)
    return replace(
        found, annotations=found.annotations[start], frames=found.frames and found.frames[start]
    )
