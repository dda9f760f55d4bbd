"""How much attention areas of interest get, frame by frame and over a whole input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from salcli.areas.geometry import Area, Coverage, checked, coverage
from salcli.errors import InputError
from salcli.loading import Loaded
from salcli.media.open import open_stimulus
from salcli.prediction import loop
from salcli.progress import Watcher
from salcli.render import heatmap
from salcli.types import Frame, Kind, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["AreaSummary", "Attention", "Covers", "Instant", "Share", "attention", "shares"]


@dataclass(frozen=True)
class Share:
    """What one area gets of one frame.

    Attributes:
        share: Of all saliency of the frame, in [0, 1].
        area_share: Of the frame's pixels, in [0, 1]; 0 if the area is not on screen.
        peak: Highest saliency inside, in parts of the frame's highest.
        peak_x, peak_y: Where that is, in pixels from 0; `None` if not on screen.
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

    @property
    def lift(self) -> float | None:
        """How many times the share that its size alone would give it."""
        return self.share / self.area_share if self.area_share else None


@dataclass(frozen=True)
class Instant:
    """All areas on one frame.

    Attributes:
        index, label, time: Of the frame; see `salcli.types.Result`.
        shares: By name of the area.
    """

    index: int
    label: str
    time: float | None
    shares: Mapping[str, Share]


@dataclass(frozen=True)
class AreaSummary:
    """One area over a whole input.

    Attributes:
        share: Mean over all frames; frames without the area count as 0.
        area_share: Likewise.
        peak: The highest of all frames.
        rank: By share.
        frames: On how many frames it is on screen.
        seconds: How long; `None` for stills.
        first_maximum: The first frame whose highest saliency is inside, if any.
        per_second: Mean share within each second of a clip; `None` for stills.
    """

    share: float
    area_share: float
    peak: float
    rank: int
    frames: int
    seconds: float | None
    first_maximum: Instant | None
    per_second: Sequence[float] | None

    @property
    def lift(self) -> float | None:
        """How many times the share that its size alone would give it."""
        return self.share / self.area_share if self.area_share else None


@dataclass
class Attention:
    """What the areas of one input get.

    Attributes:
        source: The input.
        stimulus: The same, opened.
        instants: Frame by frame.
        density: Mean over all frames of the maps, each summing to 1, at the first frame's size.
        frame: The first frame.
        saliency: Its map.
    """

    source: Path
    stimulus: Stimulus
    instants: list[Instant] = field(default_factory=list)
    density: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 1)))
    frame: Frame = field(default_factory=lambda: np.zeros((1, 1, 3), np.uint8))
    saliency: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1), np.float32))

    def summary(self) -> dict[str, AreaSummary]:
        """Each area over the whole input."""
        names = list(self.instants[0].shares)
        means = {
            name: float(np.mean([instant.shares[name].share for instant in self.instants]))
            for name in names
        }
        return {name: self._summary(name, rank) for name, rank in _ranks(means).items()}

    def _summary(self, name: str, rank: int) -> AreaSummary:
        found = [instant.shares[name] for instant in self.instants]
        lengths = self._lengths()
        on_screen = [share.area_share > 0 for share in found]
        firsts = (i for i in self.instants if i.shares[name].holds_maximum)
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
        times = [instant.time for instant in self.instants if instant.time is not None]
        if self.stimulus.fps is None or not times:
            return []
        return [*np.diff(times).tolist(), 1 / self.stimulus.fps]

    def _per_second(self, name: str) -> Iterator[float]:
        """Mean share of the frames that begin within each second; a second without one repeats."""
        times = np.array([instant.time for instant in self.instants], float)
        values = np.array([instant.shares[name].share for instant in self.instants])
        seconds = np.floor(times - times[0] + 1e-6).astype(int)
        last = 0.0
        for second in range(seconds[-1] + 1):
            within = values[seconds == second]
            last = float(within.mean()) if within.size else last
            yield last


def attention(
    source: Path,
    loaded: Loaded,
    *,
    areas: Sequence[Area],
    kind: Kind,
    fps: float | None,
    watcher: Watcher,
) -> Attention:
    """Predict one input and measure its areas.

    Raises:
        InputError: It cannot be read, or an area is nowhere on it.
        PluginError, SalcliError: See `salcli.prediction.loop.run`.
    """
    accepts = loaded.model.spec.accepts
    stimulus = open_stimulus(source, kind=kind, fps=fps, accepts=accepts)
    found = Attention(source, stimulus)
    covers = Covers(areas)
    watcher.start(stimulus.name, stimulus.count)
    results = loop.run(loaded.model, stimulus, extras=False, keep_frames=True, notice=watcher.note)
    with closing(results):
        for result in results:
            assert result.frame is not None
            if not found.instants:
                found.frame, found.saliency = result.frame, result.saliency
                found.density = np.zeros(result.saliency.shape)
            size = (result.saliency.shape[0], result.saliency.shape[1])
            measured = shares(result.saliency, covers.on(result.index, result.label, size))
            found.instants.append(Instant(result.index, result.label, result.time, measured))
            here = heatmap.fitted(result.saliency, found.density.shape)
            found.density += _density(here)
            watcher.step()
    found.density /= len(found.instants)
    for area in areas:
        if not any(instant.shares[area.name].area_share for instant in found.instants):
            raise InputError(f"area '{area.name}' is on no frame of '{source}'; see --areas")
    return found


def shares(saliency: npt.NDArray[np.float32], covers: Mapping[str, Coverage]) -> dict[str, Share]:
    """What each area gets of a map `[H, W]`, given how much of each pixel it covers."""
    density = _density(saliency)
    highest = density.max()
    found = {}
    for name, covered in covers.items():
        inside = np.where(covered > 0, density, -1.0)
        y, x = (int(n) for n in np.unravel_index(inside.argmax(), inside.shape))
        on_screen = inside[y, x] >= 0
        found[name] = Share(
            share=float((density * covered).sum()),
            area_share=float(covered.mean()),
            peak=float(inside[y, x] / highest) if on_screen else 0.0,
            peak_x=x if on_screen else None,
            peak_y=y if on_screen else None,
            holds_maximum=bool(on_screen and inside[y, x] == highest),
        )
    ranks = _ranks({name: share.share for name, share in found.items()})
    return {name: replace(share, rank=ranks[name]) for name, share in found.items()}


class Covers:
    """How much of each pixel the areas cover; what does not move is computed once per size."""

    def __init__(self, areas: Sequence[Area]) -> None:
        self._areas = areas
        self._known: dict[tuple[str, tuple[int, int]], Coverage] = {}

    def on(self, index: int, label: str, size: tuple[int, int]) -> dict[str, Coverage]:
        """Coverage `[H, W]` by area, on the frame at an index (from 0) with a label."""
        return {area.name: self._one(area, index, label, size) for area in self._areas}

    def _one(self, area: Area, index: int, label: str, size: tuple[int, int]) -> Coverage:
        if area.moves:
            return coverage(area.on(index, label), size)
        key = area.name, size
        if key not in self._known:
            self._known[key] = coverage(checked(area, size).always, size)
        return self._known[key]


def _density(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The map, summing to 1; one of zeros, which prefers no place, becomes uniform."""
    total = saliency.sum(dtype=np.float64)
    if total <= 0:
        return np.full(saliency.shape, 1 / saliency.size)
    density: npt.NDArray[np.float64] = saliency.astype(np.float64) / total
    return density


def _ranks(values: Mapping[str, float]) -> dict[str, int]:
    return {
        name: 1 + sum(other > value for other in values.values()) for name, value in values.items()
    }
