"""What a report says of one input: pictures, maps, and numbers for each model."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from salcli.aoi.measure import Covers, shares
from salcli.output.frametable import summary
from salcli.panels.predictions import Camera
from salcli.report.clip import Footage
from salcli.report.tiles import Tiles, data_url, levels
from salcli.report.timeline import Said, Tracks

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.aoi.areas import Area
    from salcli.loading import Loaded
    from salcli.media.open import Kind
    from salcli.panels.predictions import Take
    from salcli.progress import Watcher
    from salcli.types import Stimulus

__all__ = ["OBSERVERS", "Reporter"]

OBSERVERS = "ground truth"
"""Under this name, the density of real observers can be chosen like a model."""

PICTURE_SIDE, STILL_SIDE = 1280, 320
"""Longest sides of pictures, and of maps of stills: maps are smooth."""


class Reporter:
    """Makes the entries of inputs.

    Attributes:
        models: Whose maps are shown.
        areas: Of interest.
        kind, fps: See `salcli.media.open.open_stimulus`.
        has_observers: Whether any entry so far shows what observers did.
    """

    def __init__(
        self,
        models: Sequence[Loaded],
        watcher: Watcher,
        *,
        areas: Sequence[Area],
        kind: Kind,
        fps: float | None,
    ) -> None:
        self.models, self.areas, self.kind, self.fps = models, areas, kind, fps
        self.has_observers = False
        self._watcher = watcher

    def entries(self, source: Path) -> tuple[list[dict[str, Any]], list[str]]:
        """One entry for a clip, one for each still; and what could not be read.

        Raises:
            InputError: The input cannot be read, or an area lies outside of it.
            PluginError: A model broke its contract.
        """
        camera = Camera(source, self.models, kind=self.kind, fps=self.fps)
        stimulus = camera.scene.stimulus
        self._watcher.start(stimulus.name, stimulus.count)
        with closing(camera.takes(None, notice=self._watcher.note)) as takes:
            watched = self._watched(takes)
            found = [self._clip(stimulus, watched)] if stimulus.is_clip else self._stills(watched)
        return found, camera.problems

    def _watched(self, takes: Iterator[Take]) -> Iterator[Take]:
        for take in takes:
            yield take
            self._watcher.step()

    def _said(self, take: Take, covers: Covers) -> Iterator[Said]:
        for rated in take.shot.rated:
            yield self._of(take, covers, rated.title, rated.saliency, rated.scores)
        if take.shot.density is not None:
            self.has_observers = True
            density = np.asarray(take.shot.density, np.float32)
            yield self._of(take, covers, OBSERVERS, density, {})

    def _of(
        self,
        take: Take,
        covers: Covers,
        name: str,
        saliency: npt.NDArray[np.float32],
        scores: Mapping[str, float],
    ) -> Said:
        covered = covers.on(take.result.index, take.result.label, saliency.shape)
        found = shares(saliency, covered)
        return Said(name, saliency, scores, {n: (s.share, s.lift) for n, s in found.items()})

    def _stills(self, takes: Iterator[Take]) -> list[dict[str, Any]]:
        covers = Covers(self.areas)
        return [
            {**_still(take), "models": [_still_model(said) for said in self._said(take, covers)]}
            for take in takes
        ]

    def _clip(self, stimulus: Stimulus, takes: Iterator[Take]) -> dict[str, Any]:
        if stimulus.fps is None:
            raise ValueError("a clip has a frame rate")
        covers = Covers(self.areas)
        tracks = Tracks(stimulus.fps)
        with Footage(stimulus) as footage:
            for take in takes:
                footage.add(take.result)
                if tracks.wants(take.result.index):
                    tracks.add(take.result.index, list(self._said(take, covers)))
            video = base64.b64encode(footage.finish()).decode()
        return {"name": stimulus.name, "video": video, **tracks.document()}


def _still(take: Take) -> dict[str, Any]:
    frame = take.shot.frame
    height, width = frame.shape[:2]
    picture = Image.fromarray(frame)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    return {
        "name": take.result.label,
        "width": width,
        "height": height,
        "picture": data_url(picture, "jpeg"),
    }


def _still_model(said: Said) -> dict[str, Any]:
    tiles = Tiles()
    tiles.add(levels(said.saliency, STILL_SIDE))
    found = summary(said.saliency)
    facts: dict[str, Any] = {"peak": "none, the map is zero everywhere"}
    if found is not None:
        x, y = found.peak
        facts = {"peak": f"{x}, {y}", "entropy": f"{found.entropy:.2f} bits"}
    for name, (share, lift) in said.areas.items():
        more = "" if lift is None else f" ({lift:.1f} times its size)"
        facts[f"share of {name}"] = f"{share:.1%}{more}"
    facts |= {name: f"{score:.3f}" for name, score in said.scores.items() if not isnan(score)}
    return {"name": said.name, "tiles": tiles.document(), "facts": facts}
