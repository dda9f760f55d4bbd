"""From one input to its pictures: panels of stills, a movie of a clip, a contact sheet, a GIF."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from salcli.atomic import reporting_os_errors, sweep, temporary
from salcli.loading import Loaded
from salcli.media.open import Kind
from salcli.output.movie import Movie
from salcli.output.worker import Background
from salcli.panels import paired
from salcli.panels.board import LARGEST_PICTURE, Rated, Shot
from salcli.panels.files import write_gif, write_gif_of_movie, write_jpeg
from salcli.panels.predictions import Camera, Take
from salcli.prediction.manifest import OutputPaths
from salcli.progress import Watcher
from salcli.types import Frame, Stimulus

__all__ = ["Drawer", "Exhibit", "Gallery", "ModelScores"]

LARGEST_MOVIE = (2160, 3840)
"""`(H, W)` up to which players decode H.264 in hardware."""

LARGEST_ANIMATION = (1080, 1280)
LARGEST_SHEET_ROW = (1400, 1920)

SLICE_SECONDS = 1.0
"""How long each further map is shown in a GIF, as in TempSAL's animations."""


class Drawer(Protocol):
    """Draws a picture of a frame; frames that are alike in size and kind give one size."""

    def draw(self, shot: Shot) -> Frame:
        """The picture `[H, W, 3]`, both sides even."""


@dataclass(frozen=True)
class ModelScores:
    """A model's scores of one frame, or their means over the frames of a clip."""

    label: str
    model: str
    scores: Mapping[str, float]


@dataclass
class Exhibit:
    """What became of one input.

    Attributes:
        source: The input.
        files: What was written.
        frames: How many frames were shown.
        rows: Scores, where there is a ground truth.
        sheet: Pictures for the contact sheet.
        problems: What is missing.
        error: Why it failed.
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
        """Whether everything was there to be shown."""
        return not self.error and not self.problems


class _Drawers(Protocol):
    """Makes a drawer of pictures of at most `(H, W)`; published panels keep their own size."""

    def __call__(self, largest: tuple[int, int], *, legend: bool) -> Drawer: ...


@dataclass(frozen=True)
class Gallery:
    """What is to be done with every input.

    Attributes:
        models: Whose maps are shown.
        drawer: Makes a drawer of boards of at most `(H, W)`.
        count, seed: How many stills of a folder are shown, and which.
        kind, fps: How inputs are taken; see `salcli.media.open.open_stimulus`.
        frames: Whether `count` frames of a clip are drawn as pictures, rather than all as a movie.
        sheet: Whether pictures for a contact sheet are kept.
        gif: Whether clips, and stills with further maps, become a GIF too.
    """

    models: Sequence[Loaded]
    drawer: _Drawers
    count: int = 12
    seed: int = 0
    kind: Kind = "auto"
    fps: float | None = None
    frames: bool = False
    sheet: bool = False
    gif: bool = False

    def run(self, source: Path, place: OutputPaths, *, watcher: Watcher) -> Exhibit:
        """Draw one input.

        Raises:
            InputError, OutputError, PluginError, SalcliError: See `salcli.prediction.job.Job.run`.
        """
        camera = Camera(source, self.models, kind=self.kind, fps=self.fps)
        for folder, pattern in (
            (place.output, f"{glob.escape(place.name)}_*"),
            (place.folder, "*"),
        ):
            sweep(folder, pattern)
        for note in camera.scene.notes:
            watcher.note(note)
        exhibit = Exhibit(source)
        if camera.scene.stimulus.is_clip and not self.frames:
            self._movie(camera, place, exhibit=exhibit, watcher=watcher)
        else:
            self._pictures(camera, place, exhibit=exhibit, watcher=watcher)
        exhibit.problems = camera.problems
        return exhibit

    def _pictures(
        self, camera: Camera, place: OutputPaths, *, exhibit: Exhibit, watcher: Watcher
    ) -> None:
        stimulus = camera.scene.stimulus
        chosen = paired.choose(camera.scene, count=self.count, seed=self.seed)
        lone = stimulus.count == 1 and not exhibit.source.is_dir()
        folder = place.output if lone else place.folder
        drawers = self.drawer(LARGEST_PICTURE, legend=True), self._sheet_drawer()
        watcher.start(place.name, stimulus.count if stimulus.is_clip else len(chosen))
        with closing(camera.takes(only=chosen, notice=watcher.note)) as takes:
            for take in takes:
                watcher.step()
                if take.result.label not in chosen:
                    continue
                name = place.name if lone else take.result.label
                shot = replace(take.shot, name=name) if lone else take.shot
                file = folder / f"{name}_viz.jpg"
                write_jpeg(file, drawers[0].draw(shot), comment=_told(shot))
                exhibit.files.append(file)
                exhibit.rows += [
                    ModelScores(name, r.title, r.scores) for r in shot.rated if r.scores
                ]
                exhibit.frames += 1
                if self.sheet:
                    exhibit.sheet.append(drawers[1].draw(shot))
                if self.gif:
                    gif = file.with_suffix(".gif")
                    self._slices(shot, gif, exhibit=exhibit, watcher=watcher)

    def _slices(self, shot: Shot, file: Path, *, exhibit: Exhibit, watcher: Watcher) -> None:
        """A GIF that shows the further maps of a still one after another."""
        drawer = self.drawer(LARGEST_ANIMATION, legend=True)
        most = max(len(rated.extras) for rated in shot.rated)
        if not most:
            watcher.note(f"{shot.name}: no GIF, since no model gives more than one map of a still")
            return
        pictures = []
        for number in range(most):
            rated = [
                Rated(f"{model.title} · {name}", saliency)
                for model in shot.rated
                for name, saliency in list(model.extras.items())[number : number + 1]
            ]
            pictures.append(drawer.draw(Shot(shot.name, shot.frame, rated=rated)))
        write_gif(file, pictures, seconds=SLICE_SECONDS)
        exhibit.files.append(file)

    def _movie(
        self, camera: Camera, place: OutputPaths, *, exhibit: Exhibit, watcher: Watcher
    ) -> None:
        stimulus = camera.scene.stimulus
        chosen = paired.spread(camera.scene, count=self.count) if self.sheet else []
        path = place.output / f"{place.name}_viz.mp4"
        drawer, sheet = self.drawer(LARGEST_MOVIE, legend=True), self._sheet_drawer()
        scores: dict[str, list[Mapping[str, float]]] = {}
        watcher.start(place.name, stimulus.count)
        with _filming(path, stimulus) as film, closing(camera.takes(notice=watcher.note)) as takes:
            for take in takes:
                film(take, drawer)
                for rated in take.shot.rated:
                    scores.setdefault(rated.title, []).append(rated.scores)
                if take.result.label in chosen:
                    exhibit.sheet.append(sheet.draw(take.shot))
                exhibit.frames += 1
                watcher.step()
        exhibit.files.append(path)
        exhibit.rows = [
            ModelScores(place.name, title, _mean(s)) for title, s in scores.items() if s[0]
        ]
        if self.gif:
            gif = path.with_suffix(".gif")
            write_gif_of_movie(gif, path)
            exhibit.files.append(gif)

    def _sheet_drawer(self) -> Drawer:
        return self.drawer(LARGEST_SHEET_ROW, legend=False)


@contextmanager
def _filming(path: Path, stimulus: Stimulus) -> Iterator[Callable[[Take, Drawer], None]]:
    """What draws takes in the background and adds them to a movie; there is no half a movie."""
    assert stimulus.fps is not None  # or it would be no clip
    with reporting_os_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    movie = Movie(
        temporary(path),
        shown=path,
        draw=attrgetter("frame"),
        fps=stimulus.fps,
        source=stimulus.source,
    )
    background = Background()

    def add(take: Take, drawer: Drawer) -> None:
        movie.add(replace(take.result, frame=drawer.draw(take.shot)))

    try:
        yield lambda take, drawer: background.submit(partial(add, take, drawer))
        background.finish()
        movie.finish()
    except BaseException:
        background.cancel()
        movie.discard()
        raise
    with reporting_os_errors(path):
        temporary(path).replace(path)


def _mean(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of the frames on which a metric is defined."""
    means = {}
    for name in scores[0]:
        values = [row[name] for row in scores if not math.isnan(row[name])]
        means[name] = math.fsum(values) / len(values) if values else float("nan")
    return means


def _told(shot: Shot) -> str:
    """What a picture shows, as text for its comment."""
    lines = [shot.name]
    for rated in shot.rated:
        scores = [f"{name} {value:.4f}" for name, value in rated.scores.items()]
        lines.append(", ".join([rated.title, *scores]))
    return "\n".join(lines)
