"""How much attention areas of interest get: numbers of one input, and what is derived from them.

Documents are described by `schemas/aoi-1.schema.json`. Their numbers are rounded to nine places, so
that a file does not change with the order of additions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli._version import __version__
from salcli.areas.geometry import Area
from salcli.types import Frame, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "AreaChange",
    "AreaSummary",
    "Attention",
    "FrameShares",
    "Share",
    "list_document",
    "ranks",
    "rounded",
]

VERSION = 1
PLACES = 9


class _Lift:
    """Anything with a share of attention and a share of the frame's pixels."""

    share: float
    area_share: float

    @property
    def lift(self) -> float | None:
        """How many times the share that its size alone would give it; `None` off the screen."""
        return self.share / self.area_share if self.area_share else None


@dataclass(frozen=True)
class Share(_Lift):
    """What one area gets of one frame.

    Attributes:
        share: Of all saliency of the frame, in [0, 1].
        area_share: Of the frame's pixels, in [0, 1]; 0 if the area is not on screen.
        peak: Highest saliency inside, as a fraction of the frame's highest.
        peak_x, peak_y: Its place in pixels from 0; `None` if the area is not on screen.
        rank: By share, 1 has most; equal shares have one rank.
        holds_maximum: Whether the frame's highest saliency is inside.
    """

    share: float
    area_share: float
    peak: float = 0.0
    peak_x: int | None = None
    peak_y: int | None = None
    rank: int = 1
    holds_maximum: bool = False


@dataclass(frozen=True)
class FrameShares:
    """What all areas get of one frame.

    Attributes:
        index, label, time: Of the frame; see `salcli.types.Result`.
        shares: By name of the area.
    """

    index: int
    label: str
    time: float | None
    shares: Mapping[str, Share]

    def document(self) -> dict[str, Any]:
        """The frame alone, for documents."""
        return {"frame": self.index + 1, "label": self.label, "time_s": rounded(self.time)}


@dataclass(frozen=True)
class AreaSummary(_Lift):
    """What one area gets over a whole input.

    Attributes:
        share: Mean over all frames, in [0, 1]; frames without the area count as 0.
        area_share: Likewise.
        peak: The highest of all frames.
        rank: By share, 1 has most.
        frames: Number of frames on which it is on screen.
        seconds: How long it is on screen; `None` for stills.
        first_maximum: The first frame whose highest saliency is inside, if any.
        per_second: Mean share within each second of a clip; `None` for stills.
    """

    share: float
    area_share: float
    peak: float
    rank: int
    frames: int
    seconds: float | None
    first_maximum: FrameShares | None
    per_second: Sequence[float] | None

    def document(self) -> dict[str, Any]:
        """All of it but the area's name."""
        first, per_second = self.first_maximum, self.per_second
        return {
            "share": rounded(self.share),
            "area_share": rounded(self.area_share),
            "lift": rounded(self.lift),
            "peak": rounded(self.peak),
            "rank": self.rank,
            "frames_on_screen": self.frames,
            "seconds_on_screen": rounded(self.seconds),
            "first_maximum": None if first is None else first.document(),
            "share_per_second": None if per_second is None else [rounded(s) for s in per_second],
        }


@dataclass(frozen=True)
class AreaChange:
    """One area of an input and of what it is compared with, over all frames.

    Attributes:
        name: Of the area.
        share, share_against: Here and there, in [0, 1].
        change: Their difference; positive if the area gets more here.
        lift, lift_against: Here and there; `None` off the screen.
    """

    name: str
    share: float
    share_against: float
    change: float
    lift: float | None
    lift_against: float | None


@dataclass
class Attention:
    """What the areas of one input get.

    Attributes:
        source: The input, as the user named it.
        stimulus: The same, opened.
        areas: The areas of interest.
        model: Label of the model that predicted the maps, as `unisal:open`.
        weights_sha256: Of its weights file; `None` for a model without one.
        frames: Frame by frame.
        density: Mean over all frames of the maps, each summing to 1, at the first frame's size.
        picture: The first frame, RGB uint8 `[H, W, 3]`.
        saliency: Its map, float32 `[H, W]`.
        against: Another design or cut with areas of the same names, to compare with.
    """

    source: str
    stimulus: Stimulus
    areas: Sequence[Area]
    model: str
    weights_sha256: str | None = None
    frames: list[FrameShares] = field(default_factory=list)
    density: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 1)))
    picture: Frame = field(default_factory=lambda: np.zeros((1, 1, 3), np.uint8))
    saliency: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    against: Attention | None = None

    @property
    def problems(self) -> list[str]:
        """What could not be read of the input and of what it is compared with."""
        return [*self.stimulus.problems, *(self.against.problems if self.against else ())]

    def summary(self) -> dict[str, AreaSummary]:
        """Each area over the whole input, by name."""
        means = {
            area.name: float(np.mean([frame.shares[area.name].share for frame in self.frames]))
            for area in self.areas
        }
        return {name: self._summary(name, rank) for name, rank in ranks(means).items()}

    def changes(self) -> list[AreaChange]:
        """Each area here and in `against`, numbers rounded as in documents; empty without it."""
        there = self.against.summary() if self.against else {}
        return [
            AreaChange(
                name,
                round(here.share, PLACES),
                round(there[name].share, PLACES),
                round(here.share - there[name].share, PLACES),
                rounded(here.lift),
                rounded(there[name].lift),
            )
            for name, here in (self.summary().items() if there else ())
        ]

    def document(self) -> dict[str, Any]:
        """All numbers but those of single frames, as `salcli aoi` writes them to JSON."""
        kind = "attention" if self.against is None else "comparison"
        document = _head(kind, self.model, self.weights_sha256) | {"input": self.input_document()}
        if self.against is not None:
            document["against"] = self.against.input_document()
            document["areas"] = [vars(change) for change in self.changes()]
        return document

    def input_document(self) -> dict[str, Any]:
        """The part of the document about the input itself."""
        height, width = self.stimulus.size
        return {
            "source": self.source,
            "kind": "clip" if self.stimulus.is_clip else "stills",
            "width": width,
            "height": height,
            "fps": self.stimulus.fps,
            "frames": len(self.frames),
            "areas": [{"name": name, **s.document()} for name, s in self.summary().items()],
        }

    def _summary(self, name: str, rank: int) -> AreaSummary:
        found = [frame.shares[name] for frame in self.frames]
        lengths = self._lengths()
        on_screen = [share.area_share > 0 for share in found]
        firsts = (frame for frame in self.frames if frame.shares[name].holds_maximum)
        return AreaSummary(
            share=float(np.mean([share.share for share in found])),
            area_share=float(np.mean([share.area_share for share in found])),
            peak=max(share.peak for share in found),
            rank=rank,
            frames=sum(on_screen),
            seconds=float(np.dot(on_screen, lengths)) if lengths else None,
            first_maximum=next(firsts, None),
            per_second=list(self._per_second(name)) if lengths else None,
        )

    def _lengths(self) -> list[float]:
        """Seconds for which each frame of a clip is shown; empty for stills."""
        times = [frame.time for frame in self.frames if frame.time is not None]
        if self.stimulus.fps is None or not times:
            return []
        return [*np.diff(times).tolist(), 1 / self.stimulus.fps]

    def _per_second(self, name: str) -> Iterator[float]:
        """Mean share of the frames that begin within each second; a second without one repeats."""
        times = np.array([frame.time for frame in self.frames], float)
        values = np.array([frame.shares[name].share for frame in self.frames])
        seconds = np.floor(times - times[0] + 1e-6).astype(int)
        last = 0.0
        for second in range(seconds[-1] + 1):
            within = values[seconds == second]
            last = float(within.mean()) if within.size else last
            yield last


def ranks(values: Mapping[str, float]) -> dict[str, int]:
    """Ranks by value, 1 for the highest; equal values have one rank."""
    return {
        name: 1 + sum(other > value for other in values.values()) for name, value in values.items()
    }


def list_document(
    found: Iterable[Attention], *, failed: Mapping[str, str], model: str, weights_sha256: str | None
) -> dict[str, Any]:
    """The document of several inputs; `failed` has the error of each input that has one."""
    return {
        **_head("list", model, weights_sha256),
        "inputs": [one.input_document() for one in found],
        "failed": [{"source": source, "error": error} for source, error in failed.items()],
    }


def _head(kind: str, model: str, weights_sha256: str | None) -> dict[str, Any]:
    tool = {"salcli": __version__, "model": model, "weights_sha256": weights_sha256}
    return {"version": VERSION, "kind": kind, "tool": tool}


def rounded(number: float | None) -> float | None:
    """As documents and tables have it."""
    return None if number is None else round(number, PLACES)
