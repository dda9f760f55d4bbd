"""What a protocol is made of; light, so that a plugin may describe its own."""

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
        resize: Method of resizing to the ground truth's size, see `resampling.Method`; `"fit"`
            refuses maps of another size.
        bits: 8 rounds maps to 8 bit; `None` takes them as they are.
        stretch: Rescale predicted and true density maps to [0, 1] when they are read.
        halve: Then halve prediction and ground truth, as grey levels; a block of 2 x 2 pixels is
            fixated if one of its pixels is.
        density: Size (H, W) to which both density maps are resized; `None` keeps the true one's.
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
        settings: Keyword arguments of its function.
        function: `"package.module:function"` that replaces the registered one.
        published: Whether the protocol's tables have it; otherwise only its code does, and the
            metric is computed on request.
        share: Share of a clip's frames, drawn at random, on which it is computed; at least one.
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
        frames: Number of frames that are drawn; `None` for all.
        one_per_video: Draw one random frame from each of so many random videos; otherwise draw from
            all frames.
        own: Whether the frame's own video (an image counts as one) may be drawn.
        redrawn: Whether they are drawn for each frame or once for each video.
        repeats: Keep every fixation; otherwise each fixated pixel counts once.
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
        version: Changes with what the protocol computes.
        summary: One line.
        source: The code or description that it follows.
        preparation: How maps are made comparable.
        variants: The metrics, in the order of its tables.
        negatives: Negatives of s-AUC; `None` without s-AUC.
        averaging: Ways of averaging, the published one first: `"frames"` pools the frames of all
            videos, `"videos"` averages each video first. An image is one of each.
        limit: Maximum number of frames; if there are more, so many are drawn at random.
        files: `"package.module:function"` that makes of a score document the files that the
            original code writes, their content by name; empty for none.
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
    files: str = ""

    def variant(self, metric: str) -> Variant:
        """How the protocol computes the metric of this name.

        Raises:
            UnknownName: It does not define the metric.
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
