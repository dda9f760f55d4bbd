"""Writes results in the requested formats: in the background, and atomically."""

from __future__ import annotations

import glob
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

import numpy as np

from salcli import atomic
from salcli.atomic import reporting_os_errors, sweep, temporary
from salcli.errors import UnknownName
from salcli.maps import to_8bit
from salcli.output import png
from salcli.output.frametable import Table
from salcli.output.movie import Movie
from salcli.output.worker import Background
from salcli.render import heatmap
from salcli.types import Format, Rounding

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.types import Frame, Result, Stimulus

__all__ = ["FORMATS", "Writer", "files_of", "open_writer", "shared_files"]

FORMATS = get_args(Format)

MAPS = ("png", "npy", "npz")
"""Formats with one file per frame, and one per extra map."""

PICTURES = ("heatmap", "overlay")
"""Formats that give a movie for clips and a PNG per frame for stills."""

FILE_THREADS = 2
"""Compression releases the interpreter lock, and is faster than most networks."""


def files_of(
    label: str, formats: Sequence[str], folder: Path, *, single: bool, clip: bool
) -> list[Path]:
    """The files of one frame, without those of extra maps.

    A frame is done if and only if all exist, and no `shared_files` still need it.
    """
    names = [f"{label}.{format_}" for format_ in formats if format_ in MAPS]
    if not clip:
        names += [f"{label}.{format_}.png" for format_ in formats if format_ in PICTURES]
    if single and "csv" in formats:
        names.append(f"{label}.csv")
    return [folder / name for name in names]


def shared_files(formats: Sequence[str], folder: Path, *, single: bool, clip: bool) -> list[Path]:
    """The files that all frames share: writing them needs all frames in one run."""
    if single:
        return []
    return list(_collected(formats, folder, name="", single=False, clip=clip).values())


@contextmanager
def open_writer(
    formats: Sequence[str],
    folder: Path,
    *,
    stimulus: Stimulus,
    rounding: Rounding,
    single: bool,
) -> Iterator[Writer]:
    """A writer for the results of one stimulus, in the order of its frames.

    On a clean exit everything has its final name. On an exception the files of finished frames
    are kept, movies and tables removed. No file with a final name is ever incomplete.

    Args:
        formats: Of `FORMATS`.
        folder: Where the files go; created if missing. Leftovers of killed runs are removed.
        stimulus: The stimulus of the results.
        rounding: How maps are rounded to 8 bit.
        single: Whether it is a single still, in a folder shared with others.

    Raises:
        UnknownName: No such format.
        OutputError: Something cannot be written; raised now, by a later `write`, or on exit.
    """
    for format_ in formats:
        if format_ not in FORMATS:
            raise UnknownName("output format", format_, FORMATS)
    with reporting_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, f"{glob.escape(stimulus.name)}.*" if single else "*")
    writer = Writer(formats, folder, stimulus=stimulus, rounding=rounding, single=single)
    try:
        yield writer
        writer.finish()
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
    ) -> None:
        self._folder = folder
        self._rounding = rounding
        collected = _collected(
            formats, folder, name=stimulus.name, single=single, clip=stimulus.is_clip
        )
        self._by_frame = [format_ for format_ in dict.fromkeys(formats) if format_ not in collected]
        self._files = Background(threads=FILE_THREADS)
        self._lanes = [
            _Lane(path, _collector(format_, path, stimulus)) for format_, path in collected.items()
        ]
        self._empty = True

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

    def cancel(self) -> None:
        """Stop, and remove files that do not have their final name yet."""
        self._files.cancel()
        for lane in self._lanes:
            lane.background.cancel()
            lane.collector.discard()

    def _write_files(self, format_: str, result: Result) -> None:
        if format_ in PICTURES:
            content = png.encode(_draw(format_, result))
            atomic.write(self._folder / f"{result.label}.{format_}.png", content)
            return
        for name, saliency in {"": result.saliency, **result.extras}.items():
            stem = f"{result.label}.{name}" if name else result.label
            atomic.write(self._folder / f"{stem}.{format_}", self._encoded(format_, saliency))

    def _encoded(self, format_: str, saliency: npt.NDArray[np.float32]) -> bytes:
        if format_ == "png":
            return png.encode(to_8bit(saliency, self._rounding))
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


def _collector(format_: str, path: Path, stimulus: Stimulus) -> _Collector:
    if format_ == "csv":
        return Table(temporary(path), shown=path)
    assert stimulus.fps is not None  # only clips have movies
    return Movie(
        temporary(path),
        shown=path,
        draw=partial(_draw, format_, size=stimulus.size),
        fps=stimulus.fps,
        source=stimulus.source,
        pixel_aspect=stimulus.pixel_aspect,
    )


def _draw(format_: str, result: Result, *, size: tuple[int, int] | None = None) -> Frame:
    """The picture of one result; a heat map has the map's size unless `size` is given."""
    if format_ == "heatmap":
        return heatmap.heatmap(heatmap.fitted(result.saliency, size or result.saliency.shape))
    if result.frame is None:
        raise ValueError("an overlay needs results that carry their frame (keep_frames=True)")
    return heatmap.overlay(result.frame, result.saliency)
