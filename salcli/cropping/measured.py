"""What is kept of each frame of a clip while its maps are made: numbers in a file.

The file outlives the process, so that a killed run goes on behind its last frame. It is read in
parts, so that memory does not grow with the clip.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli.errors import InputError
from salcli.files import atomic
from salcli.files.atomic import reporting_os_errors
from salcli.filters.temporal import THUMBNAIL, thumbnail
from salcli.prediction.mapstream import MapStream
from salcli.terminal.progress import Watcher
from salcli.types import Frame, Result, Stimulus

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FrameRecords", "map_size", "measure"]

EACH = 100
"""Frames after which the file is brought up to date."""

LARGEST_MAP = 512
"""Longer side of the maps: what is kept of them is coarser."""

Reduce = Callable[["npt.NDArray[np.float32]"], "npt.NDArray[np.float32]"]


class FrameRecords:
    """A file with a record per frame; a context manager while records are added.

    Args:
        path: The file.
        head: All that determines the records; those of other heads are dropped.
        values: How many numbers are kept of each map.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], *, values: int) -> None:
        self._path, self._stack = path, ExitStack()
        self.kind = np.dtype(
            [
                ("time", "<f8"),
                ("sharpness", "<f4"),
                ("thumbnail", "u1", (THUMBNAIL * THUMBNAIL,)),
                ("attention", "<f2", (values,)),
            ]
        )
        with reporting_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._begin(json.loads(json.dumps([dict(head), values])))
        self.count = path.stat().st_size // self.kind.itemsize

    def _begin(self, head: object) -> None:
        described = self._path.with_suffix(".json")
        try:
            known = json.loads(described.read_text("utf-8"))
        except (OSError, ValueError):
            known = None
        if known != head or not self._path.is_file():
            self._path.write_bytes(b"")
            atomic.write(described, json.dumps(head))

    def __enter__(self) -> FrameRecords:
        with reporting_os_errors(self._path):
            self._file = self._stack.enter_context(self._path.open("r+b"))
            self._file.truncate(self.count * self.kind.itemsize)
            self._file.seek(0, 2)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with reporting_os_errors(self._path):
            self._stack.close()

    def add(self, time: float, frame: Frame, attention: npt.NDArray[np.float32]) -> None:
        """Add a record of the next frame, shown from `time` on.

        Raises:
            OutputError: The file cannot be written.
        """
        record = np.zeros((), self.kind)
        record["time"], record["sharpness"] = time, _sharpness(frame)
        record["thumbnail"] = (thumbnail(frame).numpy() * 255).round().ravel()
        record["attention"] = attention
        with reporting_os_errors(self._path):
            self._file.write(record.tobytes())
            self.count += 1
            if self.count % EACH == 0:
                self._file.flush()

    def array(self) -> npt.NDArray[Any]:
        """All records, read from the file when they are looked at."""
        return np.memmap(self._path, self.kind, "r", shape=(self.count,))

    def remove(self) -> None:
        """Delete the file.

        Raises:
            OutputError: The folder cannot be written.
        """
        with reporting_os_errors(self._path):
            self._path.unlink(missing_ok=True)
            self._path.with_suffix(".json").unlink(missing_ok=True)


def measure(
    stimulus: Stimulus, maps: MapStream, records: FrameRecords, *, reduce: Reduce, watcher: Watcher
) -> str:
    """Add a record for each frame of a clip that has none yet.

    Args:
        stimulus: The clip.
        maps: Its maps.
        records: Where the numbers go.
        reduce: Makes the numbers that are kept of a map.
        watcher: Shows the progress.

    Returns:
        What is wrong with a clip whose end cannot be read; otherwise the empty text.

    Raises:
        InputError: Not even its first frame can be read.
        OutputError: The records cannot be written.
    """
    done = records.count
    watcher.start(stimulus.name, stimulus.expected and max(0, stimulus.expected - done))
    with records:
        found = maps.results(stimulus, done, size=map_size(stimulus.size), notice=watcher.note)
        try:
            for result in found:
                _add(records, result, reduce)
                watcher.step()
        except InputError as error:
            if not records.count:
                raise
            return f"{error} (everything before is done)"
    return ""


def map_size(frame: tuple[int, int]) -> tuple[int, int]:
    """`(h, w)` of the maps of frames `(H, W)`, no larger than is needed."""
    scale = min(1.0, LARGEST_MAP / max(frame))
    return max(1, round(frame[0] * scale)), max(1, round(frame[1] * scale))


def _add(records: FrameRecords, result: Result, reduce: Reduce) -> None:
    assert result.frame is not None  # a stream has frames
    assert result.time is not None  # of a clip
    records.add(result.time, result.frame, reduce(result.saliency))


def _sharpness(frame: Frame) -> float:
    """Mean difference of neighbouring pixels, of every fourth row."""
    green = frame[::4, :, 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=1)).mean()) if green.shape[1] > 1 else 0.0
