"""From one input to its pictures: panels of stills, a movie of a clip, a contact sheet, a GIF."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path

from salcli.files.atomic import reporting_os_errors, sweep, temporary
from salcli.models.loading import Loaded
from salcli.output.movie import Movie
from salcli.output.worker import Background
from salcli.panels import paired
from salcli.panels.board import LARGEST_PICTURE, ComparedFrame, Panels, ScoredMap, open_panels
from salcli.panels.files import write_gif, write_gif_of_movie, write_jpeg
from salcli.panels.predictions import PairedPredictions
from salcli.prediction.manifest import OutputPaths
from salcli.render.styles import Look
from salcli.terminal.progress import Watcher
from salcli.types import Frame, Kind, Stimulus

__all__ = ["DrawnInput", "ModelScores", "Visualizer"]

LARGEST_MOVIE = (2160, 3840)
"""`(H, W)` up to which players decode H.264 in hardware."""

LARGEST_ANIMATION = (1080, 1280)
LARGEST_SHEET_ROW = (1400, 1920)

EXTRA_SECONDS = 1.0
"""How long each further map is shown in a GIF, as in TempSAL's animations."""


@dataclass(frozen=True)
class ModelScores:
    """A model's scores of one frame, or their means over the frames of a clip."""

    label: str
    model: str
    scores: Mapping[str, float]


@dataclass
class DrawnInput:
    """What was drawn of one input.

    Attributes:
        source: The input.
        files: The files written.
        frames: Number of frames shown.
        rows: Scores, where there is a ground truth.
        sheet: Pictures for the contact sheet.
        problems: What is missing.
        error: Why it failed; empty if it did not.
    """

    source: Path
    files: list[Path] = field(default_factory=list)
    frames: int = 0
    rows: list[ModelScores] = field(default_factory=list)
    sheet: list[Frame] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing failed and nothing is missing."""
        return not self.error and not self.problems


@dataclass(frozen=True)
class Visualizer:
    """Draws inputs, one by one, all in the same way.

    Attributes:
        models: Whose maps are shown.
        style, look, columns: How they are drawn; see `salcli.panels.board.open_panels`.
        count, seed: How many stills of a folder are shown, and the seed for choosing them.
        kind, fps: How inputs are read; see `salcli.media.open.open_stimulus`.
        frames: Whether to draw `count` frames of a clip as pictures, not all of them as a movie.
        sheet: Whether to keep pictures for a contact sheet.
        gif: Whether clips, and stills with further maps, become a GIF too.
    """

    models: Sequence[Loaded]
    style: str = "heat"
    look: Look = field(default_factory=Look)
    columns: int | None = None
    count: int = 12
    seed: int = 0
    kind: Kind = "auto"
    fps: float | None = None
    frames: bool = False
    sheet: bool = False
    gif: bool = False

    def draw(self, source: Path, place: OutputPaths, *, watcher: Watcher) -> DrawnInput:
        """Draw one input.

        Raises:
            InputError, OutputError, PluginError, SalcliError: See `salcli.prediction.job.Job.run`.
        """
        predictions = PairedPredictions(source, self.models, kind=self.kind, fps=self.fps)
        sweep(place.output)
        sweep(place.folder)
        for note in predictions.pair.notes:
            watcher.note(note)
        drawn = DrawnInput(source)
        as_movie = predictions.pair.stimulus.is_clip and not self.frames
        draw = self._draw_movie if as_movie else self._draw_pictures
        draw(predictions, place, drawn=drawn, watcher=watcher)
        drawn.problems = predictions.problems
        return drawn

    def _draw_pictures(
        self,
        predictions: PairedPredictions,
        place: OutputPaths,
        *,
        drawn: DrawnInput,
        watcher: Watcher,
    ) -> None:
        stimulus = predictions.pair.stimulus
        chosen = paired.choose(stimulus, count=self.count, seed=self.seed)
        alone = stimulus.count == 1 and not drawn.source.is_dir()
        folder = place.output if alone else place.folder
        panels, sheet = self._panels(LARGEST_PICTURE), self._sheet_panels()
        watcher.start(place.name, stimulus.expected if stimulus.is_clip else len(chosen))
        with closing(predictions.frames(chosen, notice=watcher.note)) as frames:
            for compared in frames:
                watcher.step()
                if compared.label not in chosen:
                    continue
                name = place.name if alone else compared.label
                shown = replace(compared, name=name) if alone else compared
                file = folder / f"{name}_viz.jpg"
                write_jpeg(file, panels.draw(shown), comment=_comment(shown))
                drawn.files.append(file)
                drawn.rows += [ModelScores(name, m.title, m.scores) for m in shown.maps if m.scores]
                drawn.frames += 1
                if self.sheet:
                    drawn.sheet.append(sheet.draw(shown))
                if self.gif:
                    self._draw_extras(shown, file.with_suffix(".gif"), drawn=drawn, watcher=watcher)

    def _draw_extras(
        self, compared: ComparedFrame, file: Path, *, drawn: DrawnInput, watcher: Watcher
    ) -> None:
        """A GIF that shows the further maps of a still one after another."""
        most = max(len(scored.extras) for scored in compared.maps)
        if not most:
            watcher.note(
                f"{compared.name}: no GIF, since no model gives more than one map of a still"
            )
            return
        panels = self._panels(LARGEST_ANIMATION)
        pictures = []
        for number in range(most):
            maps = [
                ScoredMap(f"{scored.title} · {name}", saliency)
                for scored in compared.maps
                for name, saliency in list(scored.extras.items())[number : number + 1]
            ]
            pictures.append(panels.draw(ComparedFrame(compared.name, compared.picture, maps=maps)))
        write_gif(file, pictures, seconds=EXTRA_SECONDS)
        drawn.files.append(file)

    def _draw_movie(
        self,
        predictions: PairedPredictions,
        place: OutputPaths,
        *,
        drawn: DrawnInput,
        watcher: Watcher,
    ) -> None:
        stimulus = predictions.pair.stimulus
        chosen = paired.spread(stimulus, count=self.count) if self.sheet else []
        path = place.output / f"{place.name}_viz.mp4"
        panels, sheet = self._panels(LARGEST_MOVIE), self._sheet_panels()
        scores: dict[str, list[Mapping[str, float]]] = {}
        watcher.start(place.name, stimulus.expected)
        with (
            _movie(path, stimulus, panels=panels) as add,
            closing(predictions.frames(notice=watcher.note)) as frames,
        ):
            for compared in frames:
                add(compared)
                for scored in compared.maps:
                    scores.setdefault(scored.title, []).append(scored.scores)
                if compared.label in chosen:
                    drawn.sheet.append(sheet.draw(compared))
                drawn.frames += 1
                watcher.step()
        drawn.files.append(path)
        drawn.rows = [
            ModelScores(place.name, title, _mean(s)) for title, s in scores.items() if s[0]
        ]
        if self.gif:
            gif = path.with_suffix(".gif")
            write_gif_of_movie(gif, path)
            drawn.files.append(gif)

    def _panels(self, largest: tuple[int, int]) -> Panels:
        return open_panels(self.style, self.look, columns=self.columns, largest=largest)

    def _sheet_panels(self) -> Panels:
        """A row for each picture, however many panels there are."""
        return open_panels(
            self.style,
            self.look,
            columns=self.columns or sys.maxsize,
            largest=LARGEST_SHEET_ROW,
            show_legend=False,
        )


@contextmanager
def _movie(
    path: Path, stimulus: Stimulus, *, panels: Panels
) -> Iterator[Callable[[ComparedFrame], None]]:
    """Draws frames in the background and adds them to a movie; never leaves half a movie."""
    assert stimulus.fps is not None  # or it would be no clip
    with reporting_os_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    movie = Movie(
        temporary(path),
        shown=path,
        draw=attrgetter("frame"),
        fps=stimulus.fps,
        source=stimulus.source,
        source_start=stimulus.source_start,
        pixel_aspect=stimulus.pixel_aspect,
    )
    background = Background()

    def add(compared: ComparedFrame) -> None:
        movie.add(compared.result(panels.draw(compared)))

    try:
        yield lambda compared: background.submit(partial(add, compared))
        background.finish()
        movie.finish()
    except BaseException:
        background.cancel()
        movie.discard()
        raise
    with reporting_os_errors(path):
        temporary(path).replace(path)


def _mean(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over the frames for which a metric is defined."""
    means = {}
    for name in scores[0]:
        values = [row[name] for row in scores if not math.isnan(row[name])]
        means[name] = math.fsum(values) / len(values) if values else float("nan")
    return means


def _comment(compared: ComparedFrame) -> str:
    """What a picture shows, for the comment in its file."""
    lines = [compared.name]
    for scored in compared.maps:
        scores = [f"{name} {value:.4f}" for name, value in scored.scores.items()]
        lines.append(", ".join([scored.title, *scores]))
    return "\n".join(lines)
