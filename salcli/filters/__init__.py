"""Filters around models, by name; light."""

from __future__ import annotations

from dataclasses import dataclass

from salcli.specs import FilterSpec, option

__all__ = ["FILTERS", "LetterboxOptions", "MedianOptions", "SmoothOptions"]


@dataclass(frozen=True)
class LetterboxOptions:
    """Options of the filter `letterbox`."""

    level: int = option(
        24, "brightness up to which a row or column of pixels is black", min=0, max=254
    )


@dataclass(frozen=True)
class SmoothOptions:
    """Options of the filter `smooth`."""

    alpha: float = option(0.5, "weight of a frame's own map; 1 smooths nothing", above=0, max=1)
    cut: float = option(
        0.1, "change of brightness between two frames that is a cut, as a share of white", above=0
    )


@dataclass(frozen=True)
class MedianOptions:
    """Options of the filter `median`."""

    window: int = option(5, "number of frames, odd; fewer at the ends of a clip", min=1)

    def __post_init__(self) -> None:
        if self.window % 2 == 0:
            raise ValueError(f"window={self.window}: must be odd")


FILTERS = (
    FilterSpec(
        "letterbox",
        "cuts black bars off the frames, and pads the maps back",
        "salcli.filters.letterbox:letterbox",
        options=LetterboxOptions,
        trains="salcli.filters.letterbox:picture",
    ),
    FilterSpec(
        "smooth",
        "moving average of a clip's maps, which starts again at a cut",
        "salcli.filters.temporal:smooth",
        options=SmoothOptions,
    ),
    FilterSpec(
        "median",
        "median of a clip's densities over a window of frames, as in UNISAL's smooth_method",
        "salcli.filters.temporal:median",
        options=MedianOptions,
    ),
)
