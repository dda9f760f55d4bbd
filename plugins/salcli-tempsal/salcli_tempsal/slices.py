"""Ground truth for slices of viewing time, from SALICON's fixations (supplement of the paper).

SALICON lists the fixations of an observer in their order, but without times; these are recovered
from the raw gaze samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from salcli import InputError
from salcli.authoring import blur, matlab

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "TimedFixations",
    "boundaries",
    "fixation_slices",
    "read",
    "saliency_slices",
    "slice_indices",
]

Times: TypeAlias = "npt.NDArray[np.float64]"
"""Milliseconds `[n]`."""

Places: TypeAlias = "npt.NDArray[np.float64]"
"""(x, y) in pixels from 1, `[n, 2]`."""

DURATION = 5000.0
"""Viewing time of a SALICON image in milliseconds."""

EQUAL_DISTRIBUTION = (1205.0, 2057.0, 2974.0, 3966.0)
"""Boundaries in ms of five slices with equally many of SALICON's fixations (supplement)."""

SIGMA, RADIUS = 25.0, 100
"""Sigma of the Gaussian around a fixation, and the radius where it ends, in pixels."""


@dataclass(frozen=True)
class TimedFixations:
    """All observers' fixations on one image, sorted by time.

    Attributes:
        times: At most the viewing time.
        places: Within the image.
        size: (H, W) of the image.
        outside: Number of fixations outside of the image, which are left out.
    """

    times: Times
    places: Places
    size: tuple[int, int]
    outside: int


def read(path: Path, *, timestamp_weight: float, duration: float = DURATION) -> TimedFixations:
    """The fixations of a `.mat` file as SALICON publishes it, with recovered times.

    The file's `gaze` has, for each observer, `location` [n, 2], raw samples as (x, y) from 1;
    `timestamp` [n] in milliseconds; and `fixations` [m, 2]. A coordinate of 0 counts as 1.

    Args:
        path: The file.
        timestamp_weight: Weight of a millisecond relative to a pixel; see `_times`.
        duration: Viewing time of the image in milliseconds.

    Raises:
        InputError: The file cannot be read, has another layout, or holds no fixation.
    """
    if not path.is_file():
        raise InputError(f"'{path}' does not exist")
    try:
        content = matlab.load(path)
        height, width = (int(n) for n in np.ravel(content["resolution"]))
        observers = [_observer(record) for record in np.ravel(content["gaze"])]
    except Exception as error:  # scipy and h5py raise many kinds for a damaged file
        reason = " ".join(str(error).split())
        raise InputError(
            f"'{path}' does not hold fixations as SALICON publishes them (gaze with location, "
            f"timestamp and fixations; resolution): {reason}"
        ) from error
    fixating = [observer for observer in observers if len(observer[2])]
    if not fixating:
        raise InputError(f"'{path}' holds no fixation of any of {len(observers)} observers")
    times = np.concatenate([_times(*one, timestamp_weight, duration) for one in fixating])
    places = np.concatenate([fixations for _, _, fixations in fixating])
    order = np.argsort(times, kind="stable")
    times, places = times[order], places[order]
    inside = ((places >= 0) & (places <= (width, height))).all(axis=1)
    if not inside.any():
        raise InputError(f"'{path}' holds no fixation inside of its image ({width}x{height})")
    return TimedFixations(
        times[inside], places[inside].clip(min=1), (height, width), int((~inside).sum())
    )


def _observer(record: Any) -> tuple[Places, Times, Places]:
    """Samples `[n, 2]`, their times `[n]`, and fixations `[m, 2]`."""
    samples = np.reshape(record["location"], (-1, 2)).astype(np.float64)
    times = np.ravel(record["timestamp"]).astype(np.float64)
    fixations = np.reshape(record["fixations"], (-1, 2)).astype(np.float64)
    if len(samples) != len(times):
        raise ValueError(f"{len(samples)} samples of an observer have {len(times)} timestamps")
    if len(fixations) and not len(samples):
        raise ValueError("an observer has fixations, but no samples")
    return samples, times, fixations


def _times(
    samples: Places, times: Times, fixations: Places, weight: float, duration: float
) -> Times:
    """When an observer fixated: the time of the sample that fits best in place and in order.

    The k-th of m fixations is expected at k / (m + 1) of the viewing time; a sample's distance in
    pixels and `weight` times its distance in milliseconds count together.
    """
    count = len(fixations)
    expected = duration * np.arange(1, count + 1) / (count + 1)
    apart = np.linalg.norm(fixations[:, None] - samples, axis=-1)
    nearest = np.argmin(apart + weight * np.abs(times - expected[:, None]), axis=1)
    found: Times = np.minimum(times[nearest], duration)
    return found


def boundaries(
    slicing: str | Sequence[float],
    count: int,
    times: Callable[[], Iterable[Times]],
    *,
    duration: float = DURATION,
) -> list[float]:
    """Milliseconds at which slices 2 to `count` begin.

    Args:
        slicing: `equal-duration`; `equal-distribution`, the same number of fixations in each slice:
            SALICON's boundaries for five slices of its duration, else `quantiles`; `quantiles` of
            the given times; or the boundaries themselves.
        count: Number of slices.
        times: Returns the times of all fixations, image by image; called only for quantiles.
        duration: Viewing time of an image in milliseconds.

    Raises:
        InputError: Quantiles are wanted, and there are no fixations.
    """
    if not isinstance(slicing, str):
        return list(slicing)
    if slicing == "equal-duration":
        return [duration * k / count for k in range(1, count)]
    published = (count, duration) == (len(EQUAL_DISTRIBUTION) + 1, DURATION)
    if slicing == "equal-distribution" and published:
        return list(EQUAL_DISTRIBUTION)
    known = list(times())
    if not known:
        raise InputError("none of the files holds fixations, so there is nothing to slice")
    quantiles = np.quantile(np.concatenate(known), np.arange(1, count) / count)
    return [float(start) for start in quantiles.round()]


def slice_indices(times: Times, starts: Sequence[float]) -> npt.NDArray[np.intp]:
    """The slice, from 0, of each time; a time at which a slice begins belongs to that slice."""
    return np.searchsorted(np.asarray(starts), times, side="right")


def fixation_slices(fixations: TimedFixations, starts: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Binary fixation maps `[T, H, W]`; T is one more than there are `starts`."""
    maps = np.zeros((len(starts) + 1, *fixations.size), dtype=bool)
    x, y = fixations.places.astype(int).T - 1
    maps[slice_indices(fixations.times, starts), y, x] = True
    return maps


def saliency_slices(maps: Tensor) -> Tensor:
    """Blur fixation maps `[T, H, W]` by a Gaussian and divide them by the maximum over all.

    The border is padded with zeros.
    """
    distance = torch.arange(-RADIUS, RADIUS + 1, device=maps.device, dtype=maps.dtype)
    density = torch.exp(-0.5 * (distance / SIGMA) ** 2) / (SIGMA * (2 * torch.pi) ** 0.5)
    blurred = blur(maps, density)
    return blurred / blurred.amax()
