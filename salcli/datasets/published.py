"""Published names of clips and numbers of their frames."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["dhf1k_frames", "ucf_sports_clips"]


def dhf1k_frames() -> Sequence[int]:
    """Frames of DHF1K's 1000 videos in order."""
    frames: Sequence[int] = _published()["dhf1k"]
    return frames


def ucf_sports_clips(part: str) -> Mapping[str, int]:
    """Frames of the clips of UCF-Sports' `"train"` or `"test"` part by name, in order."""
    clips: Mapping[str, int] = _published()["ucfsports"][part]
    return clips


@cache
def _published() -> Mapping[str, Any]:
    text = resources.files("salcli.datasets").joinpath("published.json").read_text("utf-8")
    content: Mapping[str, Any] = json.loads(text)
    return content
