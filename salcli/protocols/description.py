"""What a protocol is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from salcli.errors import UnknownName

__all__ = ["Negatives", "Preparation", "Protocol", "Variant"]

Averaging: TypeAlias = Literal["frames", "videos"]


@dataclass(frozen=True)
class Preparation:
    """How a predicted map is made comparable with a frame's ground truth.

    Attributes:
        resize: To the ground truth's size; `"fit"` refuses maps of another size. See
            `resampling.Method`.
        bits: Grey levels of 8 bit, or `None` for the map as it is.
        stretch: Predicted and true density maps are brought to 0 ... 1 when they are read.
        halve: Then prediction and ground truth are halved, as grey levels; a block of 2 x 2 pixels
            is fixated if one of them is.
        density: Size (H, W) at which density maps are compared, both resized; `None` for their own.
    """

    resize: Literal["fit", "bicubic", "bilinear", "area"]
    bits: Literal[8] | None = None
    stretch: bool = False
    halve: bool = False
    density: tuple[int, int] | None = None


@dataclass(frozen=True)
class Variant:
    """How a protocol computes one metric.

    Attributes:
        metric: Name of the registered metric.
        settings: Keywords of its function.
        function: `"package.module:function"` in place of the registered one.
        published: Whether the protocol's tables have it; else only its code does, and it is
            computed when it is asked for.
        share: Of a clip's frames, at least one, drawn at random, on which it is computed.
        note: What else a reader of the number must know.
    """

    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    function: str = ""
    published: bool = True
    share: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class Negatives:
    """Which fixations of other frames are the negatives of s-AUC.

    Attributes:
        frames: How many frames are drawn; `None` for all.
        one_per_video: One random frame of each of so many random videos; else any frames.
        own: Whether the frame's own video (an image is one) may be among them.
        redrawn: Whether they are drawn anew for each frame or once for each video.
        repeats: Every fixation is kept; else every fixated pixel is there once.
    """

    frames: int | None
    one_per_video: bool = False
    own: bool = False
    redrawn: Literal["frame", "video"] = "frame"
    repeats: bool = False

    def statement(self) -> str:
        """In words."""
        kept = "repeats kept" if self.repeats else "each pixel once"
        own = "its own video not excluded" if self.own else "none of its own video"
        if self.frames is None:
            return f"all fixations of all other videos or images, {kept}"
        kind = "other videos, a random frame of each" if self.one_per_video else "random frames"
        return f"fixations of {self.frames} {kind}, {own}, drawn for each {self.redrawn}, {kept}"


@dataclass(frozen=True)
class Protocol:
    """One way to score.

    Attributes:
        name: What the user types.
        version: Counts changes of what it computes.
        summary: One line.
        source: Whose code or description it follows.
        preparation: How maps are made comparable.
        variants: The metrics, in the order of its tables.
        negatives: Of s-AUC; `None` where there is no s-AUC.
        averaging: What the mean is over, the published way first: `"frames"` pools the frames of
            all videos, `"videos"` takes the mean of each video first. An image is one of each.
        limit: Where there are more frames, so many are drawn at random.
    """

    name: str
    version: str
    summary: str
    source: str
    preparation: Preparation
    variants: Sequence[Variant]
    negatives: Negatives | None = None
    averaging: tuple[Averaging, ...] = ("frames", "videos")
    limit: int | None = None

    def variant(self, metric: str) -> Variant:
        """How it computes the metric of this name.

        Raises:
            UnknownName: It does not define it.
        """
        for variant in self.variants:
            if variant.metric == metric:
                return variant
        names = [variant.metric for variant in self.variants]
        raise UnknownName(f"metric of protocol '{self.name}'", metric, names)

    @property
    def published(self) -> tuple[str, ...]:
        """The metrics of its tables."""
        return tuple(variant.metric for variant in self.variants if variant.published)
