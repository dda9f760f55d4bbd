"""Measures how much attention areas of interest get on an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from salcli.areas.attention import Attention, FrameShares, Share, ranks
from salcli.areas.geometry import Area, Coverage, checked, coverage
from salcli.errors import InputError
from salcli.media.open import open_stimulus
from salcli.models.loading import Loaded
from salcli.prediction import loop
from salcli.render import heatmap
from salcli.terminal.progress import Watcher
from salcli.types import Kind, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Covers", "measure", "shares"]


def measure(
    source: Path | Stimulus,
    loaded: Loaded,
    *,
    areas: Sequence[Area],
    kind: Kind = "auto",
    fps: float | None = None,
    watcher: Watcher,
) -> Attention:
    """Predict one input and measure its areas, frame by frame.

    Args:
        source: The input, as a path or opened.
        loaded: The model.
        areas: The areas of interest, each name once.
        kind: How a path is read, as is `fps`; see `salcli.media.open.open_stimulus`.
        fps: Frames per second of a folder's frames.
        watcher: Shows progress, and what could not be read.

    Raises:
        InputError: The input cannot be read, or an area is nowhere on it.
        PluginError, SalcliError: See `salcli.prediction.loop.run`.
    """
    stimulus = (
        source
        if isinstance(source, Stimulus)
        else open_stimulus(source, kind=kind, fps=fps, accepts=loaded.model.spec.accepts)
    )
    name = stimulus.name if isinstance(source, Stimulus) else str(source)
    found = Attention(name, stimulus, areas, loaded.label, loaded.digest)
    covers = Covers(areas)
    watcher.start(stimulus.name, stimulus.expected)
    results = loop.run(loaded.model, stimulus, extras=False, keep_frames=True, notice=watcher.note)
    with closing(results):
        for result in results:
            assert result.frame is not None  # keep_frames
            if not found.frames:
                found.picture, found.saliency = result.frame, result.saliency
                found.density = np.zeros(result.saliency.shape)
            size = (result.saliency.shape[0], result.saliency.shape[1])
            measured = shares(result.saliency, covers.on(result.index, result.label, size))
            found.frames.append(FrameShares(result.index, result.label, result.time, measured))
            found.density += _density(heatmap.fitted(result.saliency, found.density.shape))
            watcher.step()
    found.density /= len(found.frames)
    for area in areas:
        if not any(frame.shares[area.name].area_share for frame in found.frames):
            raise InputError(
                f"area '{area.name}' is on no frame of '{name}'; check which frames it names"
            )
    for problem in stimulus.problems:
        watcher.note(f"left out: {problem}")
    return found


def shares(saliency: npt.NDArray[np.float32], covers: Mapping[str, Coverage]) -> dict[str, Share]:
    """The share of each area of a map `[H, W]`, given its coverage `[H, W]` by name."""
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
    by_name = ranks({name: share.share for name, share in found.items()})
    return {name: replace(share, rank=by_name[name]) for name, share in found.items()}


class Covers:
    """The coverage of areas; that of areas that do not move is computed once per frame size."""

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
    """The map, summing to 1; a map of zeros becomes uniform, since it prefers no place."""
    total = saliency.sum(dtype=np.float64)
    if total <= 0:
        return np.full(saliency.shape, 1 / saliency.size)
    density: npt.NDArray[np.float64] = saliency.astype(np.float64) / total
    return density
