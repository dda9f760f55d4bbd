"""Data passed between the parts: frames, predictions, recordings, and training batches."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from salcli.errors import PluginError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from salcli.specs import ModelSpec

Frame: TypeAlias = "npt.NDArray[np.uint8]"
"""One RGB picture, uint8 `[H, W, 3]`."""

Eye: TypeAlias = Literal["both", "left", "right"]

KernelName: TypeAlias = Literal["default", "dhf1k", "hollywood2", "mit", "diem"]
"""Name of a kernel in `salcli.gaze.kernels` that turns fixations into a density."""

Kind: TypeAlias = Literal["auto", "clip", "stills"]
"""How to take a folder of frames; `auto` decides by its files and what the model accepts."""

Size: TypeAlias = Literal["source", "published"] | tuple[int, int]
"""Size of maps. `source`: the frame's; `published`: as the original code writes; or `(H, W)`."""

Scale: TypeAlias = Literal["published", "max", "density"]
"""Scale of maps. `published`: as in the original; `max`: the peak is 1; `density`: the sum is 1."""

Format: TypeAlias = Literal["png", "png16", "npy", "npz", "grey", "heatmap", "overlay", "csv"]
"""Format of the files that maps are written to."""

ENDINGS = (
    *(".png", ".npy", ".npz", ".csv", ".png16.png", ".grey.png", ".heatmap.png", ".overlay.png"),
    *(".salcli.json", ".salcli.failed.json"),
)
"""What follows a label in the names of its files, in all formats."""

Rounding: TypeAlias = Literal["floor", "nearest", "up"]
"""How a map in [0, 1] is rounded to 8 bit."""

Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
"""Floating-point type of a network; `auto` is float32."""

__all__ = [
    "Annotation",
    "Batch",
    "Dataset",
    "Eye",
    "Format",
    "Frame",
    "KernelName",
    "Kind",
    "Labels",
    "Loss",
    "Precision",
    "Prediction",
    "Predictor",
    "PublishedContents",
    "Recording",
    "Result",
    "Rounding",
    "Scale",
    "Size",
    "Stimulus",
    "Submission",
]


class Labels:
    """Labels that differ by more than letter case, which some file systems ignore.

    No two of them give a file of the same name in any format, as `a` and `a.overlay` would.
    """

    def __init__(self) -> None:
        self._labels: set[str] = set()
        self._files: set[str] = set()

    def take(self, candidates: Iterable[str]) -> str:
        """The first candidate that is free, which then is taken."""
        for label in candidates:
            folded = label.casefold()
            files = {folded + ending for ending in ENDINGS}
            if folded not in self._labels and files.isdisjoint(self._files):
                break
        self._labels.add(folded)
        self._files |= files
        return label


@dataclass(frozen=True)
class Stimulus:
    """What an observer looks at: one image, several unrelated stills, or a clip.

    Attributes:
        name: The output folder's name (the input's stem).
        frames: RGB uint8 `[H, W, 3]`, decoded lazily. Each iteration starts from the first frame.
        labels: Output name of each frame; `None` numbers them `0001`, `0002`, ... For stills it is
            filled during decoding: `labels[i]` exists once frame i has been yielded.
        fps: Frames per second of a clip; `None` means unrelated stills.
        size: `(H, W)` of the first frame. Stills may differ in size.
        pixel_aspect: Width of a pixel as it is shown, divided by its height.
        count: Number of frames if known without decoding, otherwise `None`.
        source: The file or folder it was read from, if any.
        source_start: Time stamp of the first frame of the source in seconds, if known; a clip that
            is a part of it begins later.
        times: Presentation time of each frame in seconds, filled during decoding: `times[i]` exists
            once frame i has been yielded. Empty for stills.
        first: Number of frames before the first of `frames`, where these are the rest of a clip;
            labels and times are those of the whole clip.
        problems: One message for each unreadable still that was skipped, filled during decoding. A
            clip never skips a frame.
    """

    name: str
    frames: Iterable[Frame]
    labels: Sequence[str] | None = None
    fps: float | None = None
    size: tuple[int, int] = (0, 0)
    pixel_aspect: Fraction = Fraction(1)
    count: int | None = None
    source: Path | None = None
    source_start: float | None = None
    times: Sequence[float] = ()
    first: int = 0
    problems: Sequence[str] = ()

    @property
    def is_clip(self) -> bool:
        """Whether the frames are consecutive in time."""
        return self.fps is not None

    @property
    def expected(self) -> int | None:
        """Number of frames, about that many if a header states the duration; `None` if unknown."""
        return self.count if self.count is not None else operator.length_hint(self.frames) or None

    def label(self, index: int) -> str:
        """Output name of the frame at `index` (from 0)."""
        index += self.first
        return f"{index + 1:04d}" if self.labels is None else self.labels[index]

    def time(self, index: int) -> float | None:
        """Presentation time in seconds of the frame at `index` (from 0); `None` for stills."""
        index += self.first
        if index < len(self.times):
            return self.times[index]
        return None if self.fps is None else index / self.fps


class Predictor(Protocol):
    """The part of a model that hooks see; `salcli.authoring.Model` is the full class."""

    spec: ModelSpec
    options: Any
    device: torch.device
    precision: torch.dtype
    batch_size: int

    def preprocess(self, frames: Sequence[Frame], /) -> Tensor:
        """Network input `[N, 3, h, w]` float32 on the CPU for RGB frames of one size."""

    def predict(self, stimulus: Stimulus, /) -> Iterator[Prediction]:
        """One prediction per frame, in order, lazily."""


@dataclass(frozen=True)
class Prediction:
    """The output of a model for one frame.

    Attributes:
        saliency: float32 `[h, w]` in [0, 1]: exactly the values of the published code before it
            rounds to 8 bit, at the size that it writes, on any device.
        extras: Further maps of the same kind by name, such as time slices.
        interpolated: Whether it was interpolated from its neighbours to save work, at the user's
            request.
    """

    saliency: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    interpolated: bool = False


@dataclass(frozen=True)
class Result:
    """One finished map, ready to be written.

    Attributes:
        index: Position of the frame in the stimulus, from 0.
        label: Output name of the frame.
        time: Presentation time in seconds; `None` for stills.
        saliency: float32 `[H, W]` numpy array at the requested size and scale.
        extras: Further maps of the same kind by name.
        frame: The RGB frame itself, if a writer needs it.
        interpolated: Whether the map was interpolated from its neighbours, not predicted.
    """

    index: int
    label: str
    time: float | None
    saliency: npt.NDArray[np.float32]
    extras: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    frame: Frame | None = None
    interpolated: bool = False


@dataclass(frozen=True)
class Annotation:
    """The gaze data of one frame; without files if none are published.

    Attributes:
        label: Label of the frame, as in the names of its map files.
        density: Fixation density: a map file of any size, a video of maps, or a `.mat`.
        fixations: Fixations: a `.mat`, a binary map, or a file or folder of a whole clip.
        index: Position of this frame, from 0, in a file that holds a whole clip.
        eye: Which eye of a binocular recording; `both` is their mean, while both fixate.
    """

    label: str
    density: Path | None = None
    fixations: Path | None = None
    index: int | None = None
    eye: Eye = "both"


@dataclass(frozen=True)
class Recording:
    """One stimulus of a dataset, a still or a clip, with its annotations.

    Attributes:
        name: Unique within the dataset, e.g. `"valid/0601"`.
        source: Image file, video file, or folder of frames.
        annotations: One per frame, in order; exactly one for a still. Those of a clip may be looked
            up on the disk lazily. A dataset for a recipe with `slices` has that many per frame.
        group: Name of the folder or part of the split it belongs to; scores are reported per group.
        fps: Nominal frames per second of a clip; `None` means a still.
        frames: The files of a clip that is a folder of frames, in order, one per annotation.
            `None` for a still and for a video, which may end one frame before its annotations.
    """

    name: str
    source: Path
    annotations: Sequence[Annotation]
    group: str = ""
    fps: float | None = None
    frames: Sequence[Path] | None = None

    @property
    def is_clip(self) -> bool:
        """Whether it has frames that are consecutive in time."""
        return self.fps is not None


@dataclass(frozen=True)
class Submission:
    """The submission format of a dataset's benchmark.

    Attributes:
        pattern: Path of a map, or of a video of maps, within the submission, without suffix:
            `{clip}` is the last part of the recording's name, `{label}` the label of the frame.
        suffixes: Accepted formats; the first one is written.
        sized: Whether every map must have the size of its frame.
    """

    pattern: str
    suffixes: tuple[str, ...] = (".png",)
    sized: bool = False

    @property
    def is_video(self) -> bool:
        """Whether a recording is one video of maps, not a map per frame."""
        return "{label}" not in self.pattern

    def path(self, recording: Recording, annotation: Annotation) -> Path:
        """Path of the map of one frame; the same for all frames if the format is video."""
        clip = recording.name.rpartition("/")[2]
        return Path(self.pattern.format(clip=clip, label=annotation.label) + self.suffixes[0])


class Dataset(Protocol):
    """The recordings of a dataset by split; made by `DatasetSpec.factory`."""

    @property
    def name(self) -> str:
        """The registered name."""

    @property
    def edition(self) -> str:
        """Which published edition or fold it is; empty if there is only one."""

    @property
    def splits(self) -> Sequence[str]:
        """Names that `recordings` takes; has `"train"` and `"valid"` if trainable."""

    @property
    def evaluated(self) -> str:
        """The split for which scores are usually reported; it has ground truth."""

    @property
    def kernel(self) -> str:
        """Name of the kernel (`salcli.gaze.kernels`) used to make its density maps."""

    @property
    def submission(self) -> Submission | None:
        """The submission format; `None` if the dataset has no benchmark."""

    @property
    def problems(self) -> Sequence[str]:
        """What is missing or wrong in the splits requested so far."""

    def recordings(self, split: str, /) -> Sequence[Recording]:
        """Recordings of one split in natural order.

        Raises:
            UnknownName: There is no such split.
            InputError: None of its files are there.
        """


@runtime_checkable
class PublishedContents(Protocol):
    """Optional methods of a `Dataset` whose list of recordings is published.

    Then `salcli datasets check` compares the frames with it, and `salcli datasets pack` needs no
    copy of the dataset.
    """

    @property
    def expected(self) -> Mapping[str, int | Sequence[str]]:
        """Recordings of each split: their number, or the last parts of their names in order."""

    @property
    def frame_counts(self) -> Mapping[str, int]:
        """Number of frames of each clip, by the last part of its name; omits stills."""


@dataclass(frozen=True)
class Batch:
    """A training batch, the argument of `Model.losses`.

    Attributes:
        inputs: Network input `[B, T, 3, h, w]`, already preprocessed; T is 1 for stills.
        density: Ground-truth fixation density `[B, T, 1, H, W]`; every map sums to 1, or is grey
            from 0 to 255, depending on the recipe's `truth`. If the recipe's `targets` is "last",
            only that of the last frame; with its `slices`, that many maps instead of 1.
        fixations: Binary fixation map of the same shape, bool.
        domain: Name of the dataset that the batch comes from, for models that need it.
    """

    inputs: Tensor
    density: Tensor
    fixations: Tensor
    domain: str = ""


@dataclass(frozen=True)
class Loss:
    """The losses that one backward pass minimises.

    Attributes:
        parts: Scalar tensors with a gradient, by name, unweighted; the recipe sets the weights.
        frames: Number of frames that the parts sum over; the recipe's `gradient_clip` is for one.
    """

    parts: Mapping[str, Tensor]
    frames: int = 1

    def total(self, weights: Mapping[str, float]) -> Tensor:
        """The weighted sum of the parts; parts that `weights` does not name are ignored.

        Raises:
            PluginError: `weights` names no part, or one that does not exist.
        """
        if not weights or weights.keys() - self.parts.keys():
            raise PluginError(
                f"the recipe weighs the losses {', '.join(weights) or '(none)'}, but the model "
                f"gives {', '.join(self.parts) or 'none'}"
            )
        first, *others = (
            weights[name] * part for name, part in self.parts.items() if name in weights
        )
        return sum(others, first)
