"""Precomputed optical flow: a folder with one file per frame.

`.flo` (Middlebury) and `.npy` hold a field `[h, w, 2]` in pixels of its own size; any picture is
used as encoded flow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from salcli import Frame, InputError
from salcli.authoring import FileNames, images
from salcli_stsnet.pictures import GRID, Encode, Field

__all__ = ["FlowFolder"]

FIELD_SUFFIXES = (".flo", ".npy")

MAGIC = 202021.25
"""A `.flo` file begins with this float32, then width and height as int32, then the field."""

UNKNOWN = 1e9
"""Middlebury's files mark pixels without known flow by a component beyond this."""


class FlowFolder:
    """The flow of one stimulus: files named like its frames, as `0002.flo` for frame `0002`.

    For how names are matched see `salcli.gaze.pairing`: `flow_2.flo` also belongs to frame `0002`.

    Args:
        folder: Either the files themselves, or a folder for each stimulus.
        stimulus: Name of the stimulus.
    """

    def __init__(self, folder: Path, stimulus: str) -> None:
        own = folder / stimulus
        self.folder = own if own.is_dir() else folder
        self._files = FileNames(
            {
                path.stem: path
                for path in sorted(self.folder.iterdir())
                if path.suffix.lower() in (*FIELD_SUFFIXES, *images.SUFFIXES)
            }
        )

    def find(self, label: str) -> Path | None:
        """The file of the frame with this label, if there is one."""
        return self._files.find(label)

    def missing(self, label: str) -> InputError:
        """The error for a frame without flow."""
        return InputError(
            f"'{self.folder}' has no flow of frame '{label}': there must be a file {label}.flo, "
            ".npy or .png"
        )


def read(path: Path, encode: Encode) -> Frame:
    """The picture of the flow in a file.

    Raises:
        InputError: The file is damaged, or does not contain flow.
    """
    suffix = path.suffix.lower()
    if suffix not in FIELD_SUFFIXES:
        return images.read(path)
    field = _read_flo(path) if suffix == ".flo" else _read_npy(path)
    if not np.isfinite(field).all():
        raise InputError(f"'{path}' contains flow that is not finite")
    field = np.where(np.abs(field) > UNKNOWN, np.float32(0), field)
    height, width = field.shape[:2]
    return encode(field * np.array([GRID[1] / width, GRID[0] / height], np.float32))


def _read_flo(path: Path) -> Field:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
    if len(content) < 12 or np.frombuffer(content, "<f4", 1)[0] != np.float32(MAGIC):
        raise InputError(f"'{path}' is not a .flo file")
    width, height = (int(side) for side in np.frombuffer(content, "<i4", 2, 4))
    if min(width, height) < 1 or 8 * width * height != len(content) - 12:
        raise InputError(
            f"'{path}' is damaged: it should hold {width} x {height} vectors and has "
            f"{(len(content) - 12) / 8:g}"
        )
    return np.frombuffer(content, "<f4", offset=12).astype(np.float32).reshape(height, width, 2)


def _read_npy(path: Path) -> Field:
    try:
        field = np.load(path, allow_pickle=False)
    except Exception as error:  # numpy raises many kinds for damaged files
        raise InputError(f"'{path}' is not a .npy file: {error}") from error
    if not isinstance(field, np.ndarray) or field.dtype.kind != "f" or field.size == 0:
        raise InputError(f"'{path}' does not contain an array of floating-point numbers")
    if field.ndim != 3 or field.shape[2] != 2:
        raise InputError(f"'{path}' must be [h, w, 2], not {list(field.shape)}")
    with np.errstate(over="ignore"):  # the caller checks that it is finite
        return field.astype(np.float32)
