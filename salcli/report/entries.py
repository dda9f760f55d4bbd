"""The entries of a report: for each input its pictures, maps, and each model's numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from salcli.areas.measure import Covers, shares
from salcli.areas.pictures import PALETTE
from salcli.output.frametable import summary
from salcli.panels.board import ScoredMap
from salcli.panels.predictions import PairedPredictions
from salcli.report.clip import EmbeddedClip
from salcli.report.tiles import Tiles, data_url, levels
from salcli.report.timeline import MeasuredMap, Timeline

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.areas.geometry import Area
    from salcli.models.loading import Loaded
    from salcli.panels.board import ComparedFrame
    from salcli.terminal.progress import Watcher
    from salcli.types import Kind, Stimulus

__all__ = ["OBSERVERS", "Entries", "EntryMaker"]

OBSERVERS = "ground truth"
"""The name under which the observers' density can be chosen like a model."""

PICTURE_SIDE, STILL_SIDE = 1280, 320
"""Longest sides of pictures, and of maps of stills: maps are smooth."""


@dataclass(frozen=True)
class Entries:
    """The entries of one input.

    Attributes:
        entries: One for a clip, one for each still.
        problems: What could not be read.
    """

    entries: Sequence[dict[str, Any]]
    problems: Sequence[str]


class EntryMaker:
    """Makes the entries of inputs.

    Args:
        models: Whose maps are shown.
        watcher: Shows progress, and what could not be read.
        areas: Areas of interest.
        kind, fps: See `salcli.media.open.open_stimulus`.
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
        self._models, self._areas, self._kind, self._fps = models, areas, kind, fps
        self._watcher = watcher

    def entries(self, source: Path) -> Entries:
        """Make the entries of one input, and report what could not be read.

        Raises:
            InputError: The input cannot be read, or an area lies outside of it.
            PluginError: A model broke its contract.
        """
        predictions = PairedPredictions(source, self._models, kind=self._kind, fps=self._fps)
        stimulus = predictions.pair.stimulus
        self._watcher.start(stimulus.name, stimulus.expected)
        with closing(predictions.frames(notice=self._watcher.note)) as frames:
            watched = self._watched(frames)
            found = [self._clip(stimulus, watched)] if stimulus.is_clip else self._stills(watched)
        for problem in predictions.problems:
            self._watcher.note(f"left out: {problem}")
        self._watcher.finish(f"{source}: done")
        return Entries(found, predictions.problems)

    def _watched(self, frames: Iterator[ComparedFrame]) -> Iterator[ComparedFrame]:
        for compared in frames:
            yield compared
            self._watcher.step()

    def _measured(self, compared: ComparedFrame, covers: Covers) -> Iterator[MeasuredMap]:
        maps = list(compared.maps)
        if compared.density is not None:
            maps.append(ScoredMap(OBSERVERS, np.asarray(compared.density, np.float32)))
        for scored in maps:
            covered = covers.on(compared.index, compared.label, scored.saliency.shape)
            areas = shares(scored.saliency, covered)
            yield MeasuredMap(scored.title, scored.saliency, scores=scored.scores, areas=areas)

    def _stills(self, frames: Iterator[ComparedFrame]) -> list[dict[str, Any]]:
        covers = Covers(self._areas)
        return [
            {
                **_still(
                    compared, [_still_model(each) for each in self._measured(compared, covers)]
                ),
                "areas": self._outlines(compared),
            }
            for compared in frames
        ]

    def _clip(self, stimulus: Stimulus, frames: Iterator[ComparedFrame]) -> dict[str, Any]:
        assert stimulus.fps is not None  # or it would be no clip
        covers = Covers(self._areas)
        timeline = Timeline(stimulus.fps)
        outlines: list[dict[str, Any]] = []
        with EmbeddedClip(stimulus) as clip:
            for compared in frames:
                outlines = outlines or self._outlines(compared)
                clip.add(compared)
                assert compared.time is not None  # since it is a clip
                if timeline.wants(compared.index, compared.time):
                    timeline.add(list(self._measured(compared, covers)))
            video = base64.b64encode(clip.finish()).decode()
        return {
            "name": stimulus.name,
            "video": video,
            **timeline.document(),
            "areas": [] if any(area.moves for area in self._areas) else outlines,
        }

    def _outlines(self, compared: ComparedFrame) -> list[dict[str, Any]]:
        """The corners of each area on a frame, in percent of it."""
        height, width = compared.picture.shape[:2]
        return [
            {
                "name": area.name,
                "ink": "rgb({} {} {})".format(*PALETTE[number % len(PALETTE)]),
                "corners": [
                    [
                        [round(100 * x.on(width) / width, 3), round(100 * y.on(height) / height, 3)]
                        for x, y in polygon
                    ]
                    for polygon in area.on(compared.index, compared.label)
                ],
            }
            for number, area in enumerate(self._areas)
        ]


def _still(compared: ComparedFrame, models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    height, width = compared.picture.shape[:2]
    picture = Image.fromarray(compared.picture)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    return {
        "name": compared.label,
        "width": width,
        "height": height,
        "picture": data_url(picture, "jpeg"),
        "models": models,
    }


def _still_model(measured: MeasuredMap) -> dict[str, Any]:
    tiles = Tiles()
    tiles.add(levels(measured.saliency, STILL_SIDE))
    found = summary(measured.saliency)
    facts: dict[str, Any] = {"peak": "none, the map is zero everywhere"}
    place = None
    if found is not None:
        x, y = found.peak
        facts = {"peak": f"{x}, {y}", "entropy": f"{found.entropy:.2f} bits"}
        height, width = measured.saliency.shape
        place = [x / width, y / height]
    for name, share in measured.areas.items():
        more = "" if share.lift is None else f" ({share.lift:.1f} times its size)"
        facts[f"share of {name}"] = f"{share.share:.1%}{more}"
    facts |= {name: f"{score:.3f}" for name, score in measured.scores.items() if not isnan(score)}
    return {
        "name": measured.title,
        "tiles": tiles.document(),
        "facts": facts,
        "areas": {name: [share.share, share.lift] for name, share in measured.areas.items()},
        "peak": place,
        "held": _held(measured.saliency),
    }


def _held(saliency: npt.NDArray[np.float32]) -> float:
    """The least part of the picture that holds half of all attention."""
    falling = np.sort(saliency, axis=None)[::-1].astype(np.float64).cumsum()
    return float((falling < falling[-1] / 2).mean()) if falling[-1] > 0 else 0.5
