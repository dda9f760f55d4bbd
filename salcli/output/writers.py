"""Writes results in the requested formats: in the background, and atomically."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

import numpy as np

from salcli.errors import UnknownName
from salcli.files import atomic
from salcli.files.atomic import reporting_os_errors, sweep, sweep_once, temporary
from salcli.maps import to_8bit
from salcli.media.encoder import QUALITY
from salcli.output import png
from salcli.output.frametable import Table, count_rows
from salcli.output.movie import Movie
from salcli.output.segments import LENGTH, Kept, count_pictures
from salcli.output.worker import Background
from salcli.render import heatmap
from salcli.types import Format, Rounding

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Result, Stimulus

__all__ = [
    "FORMATS",
    "Writer",
    "are_8bit",
    "count_kept",
    "files_of",
    "open_writer",
    "resumable",
    "shared_files",
]

FORMATS = get_args(Format)

MAPS = ("png", "png16", "npy", "npz")
"""Formats with one file per frame, and one per extra map."""

LEVELS_16 = 65535

EIGHT_BIT = {"png", "grey"}
"""Formats that need grey levels alone."""

PICTURES = ("grey", "heatmap", "overlay")
"""Formats that give a movie for clips and a PNG per frame for stills."""

FILE_THREADS = min(8, max(2, os.cpu_count() or 1))
"""Compression releases the interpreter lock; a GPU makes maps faster than two cores write them."""


def files_of(
    label: str,
    formats: Sequence[str],
    folder: Path,
    *,
    single: bool,
    clip: bool,
    extras: Iterable[str] = (),
) -> list[Path]:
    """The files of one frame, and those of its extra maps of these names.

    A frame is done if and only if all exist, and no `shared_files` still need it.
    """
    stems = [label, *(f"{label}.{extra}" for extra in extras)]
    names = [f"{stem}.{suffix_of(f)}" for stem in stems for f in formats if f in MAPS]
    if not clip:
        names += [f"{label}.{format_}.png" for format_ in formats if format_ in PICTURES]
    if single and "csv" in formats:
        names.append(f"{label}.csv")
    return [folder / name for name in names]


def are_8bit(formats: Sequence[str]) -> bool:
    """Whether the formats need no more of a map than its grey levels."""
    return set(formats) <= EIGHT_BIT


def suffix_of(format_: str) -> str:
    """What follows the label in the name of a map's file."""
    return "png16.png" if format_ == "png16" else format_


def shared_files(formats: Sequence[str], folder: Path, *, single: bool, clip: bool) -> list[Path]:
    """The files that all frames share: writing them needs all frames in one run."""
    if single:
        return []
    return list(_collected(formats, folder, name="", single=False, clip=clip).values())


def count_kept(formats: Sequence[str], folder: Path, *, clip: bool, kept_in: Path) -> int | None:
    """How many first frames the movies and tables of an interrupted run hold, each of them.

    `None` if no such format is wanted.
    """
    collected = _collected(formats, folder, name="", single=False, clip=clip)
    counts = [
        count_rows(kept_in, path) if format_ == "csv" else count_pictures(kept_in, path)
        for format_, path in collected.items()
    ]
    return min(counts, default=None)


def resumable(formats: Sequence[str], count: int, *, clip: bool) -> int:
    """After how many of the first `count` frames writing can go on: movies, between segments."""
    movies = clip and any(format_ in PICTURES for format_ in formats)
    return count // LENGTH * LENGTH if movies else count


@contextmanager
def open_writer(
    formats: Sequence[str],
    folder: Path,
    *,
    stimulus: Stimulus,
    rounding: Rounding,
    single: bool,
    kept: Kept | None = None,
    whole: bool = True,
) -> Iterator[Writer]:
    """A writer for the results of one stimulus, in the order of its frames.

    On a clean exit everything has its final name. On an exception the files of finished frames
    are kept, movies and tables removed, except for what is `kept`. No file with a final name is
    ever incomplete.

    Args:
        formats: Of `FORMATS`.
        folder: Where the files go; created if missing. Leftovers of killed runs are removed.
        stimulus: The stimulus of the results.
        rounding: How maps are rounded to 8 bit.
        single: Whether it is a single still, in a folder shared with others.
        kept: Where movies and tables are kept until they are whole. The results of its frames are
            written already; its folder is for the caller to remove.
        whole: Whether movies and tables are made at the end; else what is `kept` of them is all.

    Raises:
        UnknownName: No such format.
        OutputError: Something cannot be written; raised now, by a later `write`, or on exit.
    """
    for format_ in formats:
        if format_ not in FORMATS:
            raise UnknownName("output format", format_, FORMATS)
    with reporting_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep_once(folder) if single else sweep(folder)
    if kept is not None:
        sweep(kept.folder)
    writer = Writer(formats, folder, stimulus=stimulus, rounding=rounding, single=single, kept=kept)
    try:
        yield writer
        if whole:
            writer.finish()
        else:
            writer.keep()
    except BaseException:
        writer.cancel()
        raise


class Writer:
    """Takes results and writes them in background threads; made by `open_writer`."""

    def __init__(
        self,
        formats: Sequence[str],
        folder: Path,
        *,
        stimulus: Stimulus,
        rounding: Rounding,
        single: bool,
        kept: Kept | None,
    ) -> None:
        self._folder = folder
        self._rounding = rounding
        collected = _collected(
            formats, folder, name=stimulus.name, single=single, clip=stimulus.is_clip
        )
        self._by_frame = [format_ for format_ in dict.fromkeys(formats) if format_ not in collected]
        self._files = Background(threads=FILE_THREADS)
        self._lanes = [
            _Lane(path, _collector(format_, path, stimulus, rounding=rounding, kept=kept))
            for format_, path in collected.items()
        ]
        self._empty = kept is None or not kept.frames

    def write(self, result: Result) -> None:
        """Queue a result for writing; returns at once unless writing is several frames behind.

        Raises:
            OutputError: This or an earlier result cannot be written.
        """
        self._empty = False
        for format_ in self._by_frame:
            self._files.submit(partial(self._write_files, format_, result))
        for lane in self._lanes:
            lane.background.submit(partial(lane.collector.add, result))

    def finish(self) -> None:
        """Wait until everything is written, then give movies and tables their final names.

        Raises:
            OutputError: Something cannot be written.
        """
        self._files.finish()
        for lane in self._lanes:
            lane.background.finish()
        if self._empty:
            return
        for lane in self._lanes:
            lane.collector.finish()
        for lane in self._lanes:
            with reporting_os_errors(lane.path):
                temporary(lane.path).replace(lane.path)

    def keep(self) -> None:
        """Wait until everything is written, and leave movies and tables as they are kept.

        Raises:
            OutputError: Something cannot be written.
        """
        self._files.finish()
        for lane in self._lanes:
            lane.background.finish()
            lane.collector.discard()

    def cancel(self) -> None:
        """Stop, and remove files that do not have their final name yet."""
        self._files.cancel()
        for lane in self._lanes:
            lane.background.cancel()
            lane.collector.discard()

    def _write_files(self, format_: str, result: Result) -> None:
        if format_ in PICTURES:
            content = png.encode(_draw(format_, result, self._rounding))
            atomic.write(self._folder / f"{result.label}.{format_}.png", content)
            return
        # the map itself last: where it is, the extra ones are, too
        for name, saliency in {**result.extras, "": result.saliency}.items():
            stem = f"{result.label}.{name}" if name else result.label
            content = self._encoded(format_, saliency)
            atomic.write(self._folder / f"{stem}.{suffix_of(format_)}", content)

    def _encoded(self, format_: str, saliency: npt.NDArray[np.float32]) -> bytes:
        if format_ == "png":
            return png.encode(to_8bit(saliency, self._rounding))
        if format_ == "png16":
            return png.encode(np.rint(saliency.clip(0, 1) * np.float32(LEVELS_16)).astype("u2"))
        content = io.BytesIO()
        if format_ == "npy":
            np.save(content, saliency)
        else:
            np.savez_compressed(content, saliency=saliency)
        return content.getvalue()


class _Collector(Protocol):
    """Makes one file out of many results."""

    def add(self, result: Result) -> None: ...
    def finish(self) -> None: ...
    def discard(self) -> None: ...


class _Lane:
    """A file, the collector that writes it under a temporary name, and the thread for that."""

    def __init__(self, path: Path, collector: _Collector) -> None:
        self.path = path
        self.collector = collector
        self.background = Background()


def _collected(
    formats: Sequence[str], folder: Path, *, name: str, single: bool, clip: bool
) -> dict[str, Path]:
    """The files that grow with every frame, by format."""
    paths = {f: folder / f"{f}.mp4" for f in formats if clip and f in PICTURES}
    if "csv" in formats:
        paths["csv"] = folder / (f"{name}.csv" if single else "saliency.csv")
    return paths


def _collector(
    format_: str, path: Path, stimulus: Stimulus, *, rounding: Rounding, kept: Kept | None
) -> _Collector:
    if format_ == "csv":
        return Table(temporary(path), shown=path, kept=kept)
    assert stimulus.fps is not None  # only clips have movies
    return Movie(
        temporary(path),
        shown=path,
        draw=partial(_draw, format_, rounding=rounding, size=stimulus.size),
        fps=stimulus.fps,
        source=stimulus.source,
        source_start=stimulus.source_start,
        pixel_aspect=stimulus.pixel_aspect,
        quality=None if format_ == "grey" else QUALITY,
        kept=kept,
    )


def _draw(
    format_: str, result: Result, rounding: Rounding, *, size: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """The picture of one result; a heat map has the map's size unless `size` is given."""
    if format_ == "grey":
        return to_8bit(result.saliency, rounding)
    if format_ == "heatmap":
        return heatmap.heatmap(heatmap.fitted(result.saliency, size or result.saliency.shape))
    if result.frame is None:
        raise ValueError("an overlay needs results that carry their frame (keep_frames=True)")
    return heatmap.overlay(result.frame, result.saliency)
