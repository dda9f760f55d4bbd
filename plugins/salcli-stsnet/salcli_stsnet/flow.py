"""Optical flow between frames: OpenCV's methods, and RAFT."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from salcli import Frame, ModelSpec, UsageError, WeightsError
from salcli.authoring import checkpoint, store
from salcli_stsnet.pictures import GRID, Field

__all__ = ["METHODS", "RAFT", "Estimator", "load_raft", "opencv", "raft", "successive"]

FARNEBACK: dict[str, Any] = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}

RAFT = {"raft": "raft-small", "raft-large": "raft-large"}
"""Names of the methods that are networks, and the tags of their weights."""

METHODS = ("dis", "farneback", *RAFT)
"""All methods to compute flow from frames."""


class Estimator(Protocol):
    """A method to compute flow; its state is limited to one stimulus."""

    def prepare(self, frame: Frame, /) -> Any:
        """Prepare a frame, once for both pairs that need it."""

    def between(self, previous: Any, current: Any, /) -> Field:
        """The field `[240, 320, 2]` from one prepared frame to the other, in pixels."""


def successive(
    frames: Iterable[Frame], estimator: Estimator, *, cuts: float | None = None
) -> Iterator[tuple[Frame, Field | None]]:
    """Each frame with the flow from the one before it; the first has none.

    Flow is zero between frames that differ by more than `cuts` grey levels on average.
    """
    before: tuple[Frame, Any] | None = None
    for frame in frames:
        current = estimator.prepare(frame)
        if before is None:
            yield frame, None
        elif cuts is not None and _difference(before[0], frame) > cuts:
            yield frame, np.zeros((*GRID, 2), np.float32)
        else:
            yield frame, estimator.between(before[1], current)
        before = frame, current


def _difference(one: Frame, other: Frame) -> float:
    """Mean absolute difference of two frames; infinite if their sizes differ."""
    return float(cv2.absdiff(one, other).mean()) if one.shape == other.shape else np.inf


class _OpenCV:
    """Works on grey frames of the grid's size, as the paper does."""

    def __init__(self, compute: Callable[[Any, Any], Any]) -> None:
        self._compute = compute

    def prepare(self, frame: Frame, /) -> Any:
        small = cv2.resize(frame, GRID[::-1], interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)

    def between(self, previous: Any, current: Any, /) -> Field:
        return np.asarray(self._compute(previous, current), np.float32)


def opencv(method: str) -> Estimator:
    """`dis` (Kroeger et al., ECCV 2016) or `farneback` (Farnebaeck, SCIA 2003)."""
    if method == "dis":
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        empty: Any = None
        return _OpenCV(lambda previous, current: search.calc(previous, current, empty))
    start: Any = None
    return _OpenCV(
        lambda previous, current: cv2.calcOpticalFlowFarneback(
            previous, current, start, **FARNEBACK
        )
    )


class _Raft:
    """RAFT (Teed, Deng, ECCV 2020) on frames of the grid's size, with the usual twelve updates."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network, self._device = network, device

    def prepare(self, frame: Frame, /) -> Tensor:
        small = cv2.resize(frame, GRID[::-1], interpolation=cv2.INTER_AREA)
        pixels = torch.from_numpy(small).permute(2, 0, 1)[None].to(self._device)
        return pixels.float() / 127.5 - 1

    @torch.inference_mode()
    def between(self, previous: Tensor, current: Tensor, /) -> Field:
        refined: Tensor = self._network(previous, current)[-1]
        return np.asarray(refined[0].permute(1, 2, 0).cpu().numpy())


def raft(network: nn.Module, device: torch.device) -> Estimator:
    """The network of `load_raft` as an estimator."""
    return _Raft(network, device)


def load_raft(spec: ModelSpec, method: str, *, offline: bool) -> nn.Module:
    """The network of torchvision for a key of `RAFT`, with its weights from salcli's store.

    Raises:
        UsageError: torchvision is not installed.
        WeightsError: The weights could not be obtained, or are not torchvision's.
    """
    try:
        optical_flow = import_module("torchvision.models.optical_flow")
    except ImportError as error:
        raise UsageError(
            f"flow by '{method}' needs torchvision; to install it: pip install "
            "'salcli-stsnet[raft]'"
        ) from error
    row = spec.weights_row(RAFT[method])
    if row is None:
        raise UsageError(f"model '{spec.name}' has no weights for flow by '{method}'")
    path = store.locate(spec, row, offline=offline)
    beginning = row.filename.rpartition("-")[2].removesuffix(".pth")
    digest = checkpoint.sha256(path)
    if not digest.startswith(beginning):
        raise WeightsError(
            f"'{path}' is not torchvision's file: its SHA-256 starts with {digest[:8]}, not with "
            f"{beginning}; to download it again: salcli weights remove {spec.name}:{row.tag}"
        )
    make = optical_flow.raft_small if method == "raft" else optical_flow.raft_large
    network: nn.Module = make(weights=None)
    checkpoint.load_strict(network, checkpoint.read(path))
    return network.eval()
