"""Crops a clip: measures its frames, plans the window's path, and writes movies of it.

The frames are decoded twice, since a shot must be known to its end before its first crop is drawn.
Both passes go on where a killed run left off.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli.cropping import draw
from salcli.cropping.document import CropSummary, summary
from salcli.cropping.files import PATHS, write_path
from salcli.cropping.keyframes import key_frames
from salcli.cropping.measured import FrameRecords, measure
from salcli.cropping.plan import CropSettings, Plan, plan
from salcli.cropping.shots import shots
from salcli.cropping.windows import BINS, fit, profiles
from salcli.files import atomic
from salcli.files.atomic import reporting_os_errors, sweep, temporary
from salcli.output import png
from salcli.output.movie import Movie
from salcli.output.segments import LENGTH, Kept, count_pictures
from salcli.output.worker import Background
from salcli.prediction.claims import Claim
from salcli.prediction.finished import kept_in
from salcli.prediction.mapstream import MapStream
from salcli.terminal.progress import Watcher
from salcli.types import Frame, Result, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ClipCrops", "crop_clip"]

NO_MAP = np.zeros((1, 1), np.float32)


@dataclass(frozen=True)
class ClipCrops:
    """What was made of a clip: a summary for each crop, the files, and what is wrong with it."""

    frames: int
    crops: tuple[CropSummary, ...]
    files: list[Path]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Product:
    """A movie: its file, and what draws a frame of it, given its index."""

    path: Path
    draw: Callable[[int, Frame], Frame]
    pixel_aspect: Fraction


def crop_clip(
    stimulus: Stimulus,
    maps: MapStream,
    folder: Path,
    *,
    wanted: CropSettings,
    formats: Sequence[str],
    pictures: int,
    heads: tuple[Mapping[str, Any], Mapping[str, Any]],
    claim: Claim,
    watcher: Watcher,
) -> ClipCrops:
    """Crop a clip into a folder.

    Args:
        stimulus: The clip.
        maps: Where its maps come from.
        folder: Where the results go.
        wanted: The crops.
        formats: `crop` and `preview`, which are movies, and those of `PATHS`.
        pictures: How many key frames are saved of each crop.
        heads: All that determines the maps, and all that determines the results.
        claim: This process's claim on the input.
        watcher: Shows the progress.

    Raises:
        InputError: The clip or its maps cannot be read.
        OutputError: The results cannot be written.
    """
    parts = kept_in(folder)
    sweep(parts)
    records = FrameRecords(parts / "attention.bin", heads[0], values=2 * BINS)
    reduce = _touching(claim, lambda saliency: profiles(saliency).ravel())
    problem = measure(stimulus, maps, records, reduce=reduce, watcher=watcher)
    known = records.array()
    ranges = shots(known["thumbnail"], wanted.cut)
    aspect = stimulus.pixel_aspect
    windows = [fit(one, stimulus.size, pixel_aspect=aspect, even=True) for one in wanted.shapes]
    plans = [plan(known, ranges, window, wanted) for window in windows]
    _keep_only_movies_of(parts, heads[1])
    products = _products(plans, folder, formats, wanted=wanted, aspect=aspect)
    picks = [key_frames(known["sharpness"], each, pictures) for each in plans]
    rendering = _Rendering(stimulus, plans, wanted, folder, np.array(known["time"]), picks)
    files = rendering.render(products, parts, claim=claim, watcher=watcher)
    for each in plans:
        for one in formats:
            if one in PATHS:
                files.append(folder / f"{each.window.shape.name}.{PATHS[one][0]}")
                write_path(one, files[-1], each)
    return ClipCrops(len(known), tuple(map(summary, plans)), files, (problem,) if problem else ())


def forget(folder: Path) -> None:
    """Delete what is kept of an unfinished run in a folder.

    Raises:
        OutputError: It cannot be deleted.
    """
    with reporting_os_errors(folder):
        if kept_in(folder).is_dir():
            shutil.rmtree(kept_in(folder))


def _touching(
    claim: Claim, reduce: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    def reduced(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        claim.touch()
        return reduce(saliency)

    return reduced


def _keep_only_movies_of(parts: Path, head: Mapping[str, Any]) -> None:
    """Remove the segments of movies that were made with other settings."""
    described, text = parts / "movies.json", repr(sorted(head.items()))
    with reporting_os_errors(parts):
        if not described.is_file() or described.read_text("utf-8") != text:
            for file in parts.glob("*.mp4"):
                file.unlink()
            atomic.write(described, text)


def _products(
    plans: Sequence[Plan],
    folder: Path,
    formats: Sequence[str],
    *,
    wanted: CropSettings,
    aspect: Fraction,
) -> list[_Product]:
    found = []
    for each in plans:
        name = each.window.shape.name
        if "crop" in formats:
            drawn = partial(_cropped, each, each.padded(), wanted)
            found.append(_Product(folder / f"{name}.mp4", drawn, each.window.pixel_aspect))
        if "preview" in formats:
            drawn = partial(_previewed, each, each.padded())
            found.append(_Product(folder / f"{name}.preview.mp4", drawn, aspect))
    return found


def _cropped(
    plan: Plan,
    padded: npt.NDArray[np.bool_],
    wanted: CropSettings,
    index: int,
    frame: Frame,
) -> Frame:
    if padded[index]:
        return draw.padded(frame, plan.window, wanted.backdrop)
    return draw.crop(frame, plan.box(index, whole=False), plan.window.output)


def _previewed(plan: Plan, padded: npt.NDArray[np.bool_], index: int, frame: Frame) -> Frame:
    return draw.marked(frame, plan.box(index, whole=bool(padded[index])))


@dataclass(frozen=True)
class _Rendering:
    """The second pass over the frames of a clip."""

    stimulus: Stimulus
    plans: Sequence[Plan]
    wanted: CropSettings
    folder: Path
    times: npt.NDArray[np.float64]
    picks: Sequence[Sequence[int]]

    def render(
        self, products: Sequence[_Product], parts: Path, *, claim: Claim, watcher: Watcher
    ) -> list[Path]:
        """Write the movies and the key frames; returns the files."""
        pictures = {index for picked in self.picks for index in picked}
        files = [product.path for product in products]
        if not products and not pictures:
            return files
        counts = [count_pictures(parts, product.path) for product in products]
        count = len(self.times)
        done = min(min(counts, default=count), count) // LENGTH * LENGTH if products else count
        watcher.start(f"{self.stimulus.name}: crops", count - done)
        kept = Kept(parts, done, lambda index: float(self.times[index]))
        with ExitStack() as stack:
            lanes = [stack.enter_context(self._movie(product, kept)) for product in products]
            for index, frame in zip(range(count), self.stimulus.frames, strict=False):
                claim.touch()
                if index in pictures:
                    files += self._save(index, frame)
                if index >= done:
                    for lane in lanes:
                        lane(index, frame)
                    watcher.step()
        return files

    def _save(self, index: int, frame: Frame) -> list[Path]:
        """Save a key frame of each crop that picked it."""
        files = []
        for each, picked in zip(self.plans, self.picks, strict=True):
            if index in picked:
                label = self.stimulus.label(index)
                path = self.folder / f"{each.window.shape.name}.{label}.png"
                box = each.box(index, whole=False)
                atomic.write(path, png.encode(draw.crop(frame, box, each.window.output)))
                files.append(path)
        return files

    @contextmanager
    def _movie(self, product: _Product, kept: Kept) -> Iterator[Callable[[int, Frame], None]]:
        """Draws frames in the background; the movie has its name when the block ends."""
        assert self.stimulus.fps is not None  # it is a clip
        movie = Movie(
            temporary(product.path),
            shown=product.path,
            draw=attrgetter("frame"),
            fps=self.stimulus.fps,
            source=self.stimulus.source,
            source_start=self.stimulus.source_start,
            pixel_aspect=product.pixel_aspect,
            kept=kept,
        )
        background = Background()

        def add(index: int, frame: Frame) -> None:
            picture = product.draw(index, frame)
            time = float(self.times[index])
            movie.add(Result(index, self.stimulus.label(index), time, NO_MAP, frame=picture))

        try:
            yield lambda index, frame: background.submit(partial(add, index, frame))
            background.finish()
            movie.finish()
        except BaseException:
            background.cancel()
            movie.discard()
            raise
        with reporting_os_errors(product.path):
            temporary(product.path).replace(product.path)
