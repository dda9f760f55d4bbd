"""What passes between the parts: frames in, predictions out, and the data that training sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
"""A kernel of `salcli.gaze.kernels` that turns fixations into a density."""

Kind: TypeAlias = Literal["auto", "clip", "stills"]
"""What the frames of a folder are; `auto` decides by its files and by what the model accepts."""

Size: TypeAlias = Literal["source", "published"] | tuple[int, int]
"""Of maps. `source`: the frame's; `published`: as the model's original writes them; or `(H, W)`."""

Scale: TypeAlias = Literal["published", "max", "density"]
"""Of maps. `published`: the original's values; `max`: the peak is 1; `density`: the sum is 1."""

Format: TypeAlias = Literal["png", "npy", "npz", "heatmap", "overlay", "csv"]
"""Of the files that maps are written to."""

Rounding: TypeAlias = Literal["floor", "nearest"]
"""How a map in [0, 1] becomes 8 bit."""

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


@dataclass(frozen=True)
class Stimulus:
    """What an observer looks at: one image, several unrelated stills, or a clip.

    Attributes:
        name: The output folder's name (the input's stem).
        frames: RGB uint8 `[H, W, 3]`, decoded lazily. Iterating again starts from the first frame.
        labels: Output name of each frame; `None` numbers them `0001`, `0002`, ... For stills it is
            filled while they are decoded: `labels[i]` is there once frame i has been yielded.
        fps: Frames per second of a clip; `None` means unrelated stills.
        size: `(H, W)` of the first frame. Stills may differ from one to the next.
        count: Number of frames where it is known without decoding, else `None`.
        source: The file or folder that it was read from, if any.
        times: Presentation time of each frame in seconds, filled while the frames are decoded:
            `times[i]` is there once frame i has been yielded. Empty for stills.
        problems: One message for each still that could not be read and was left out, filled while
            the stills are decoded. A clip never leaves out a frame.
    """

    name: str
    frames: Iterable[Frame]
    labels: Sequence[str] | None = None
    fps: float | None = None
    size: tuple[int, int] = (0, 0)
    count: int | None = None
    source: Path | None = None
    times: Sequence[float] = ()
    problems: Sequence[str] = ()

    @property
    def is_clip(self) -> bool:
        """Whether the frames follow each other in time."""
        return self.fps is not None

    def label(self, index: int) -> str:
        """Output name of the frame at `index` (from 0)."""
        return f"{index + 1:04d}" if self.labels is None else self.labels[index]

    def time(self, index: int) -> float | None:
        """Presentation time in seconds of the frame at `index` (from 0); `None` for stills."""
        if index < len(self.times):
            return self.times[index]
        return None if self.fps is None else index / self.fps


class Predictor(Protocol):
    """What hooks see of a model; `salcli.authoring.Model` is the class that has it all."""

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
    """What a model says of one frame.

    Attributes:
        saliency: float32 `[h, w]` in [0, 1]: exactly what the published code has before it rounds
            to 8 bit, at the size at which it writes it, on any device.
        extras: Further maps of the same kind by name, such as time slices.
        interpolated: Whether it was made from its neighbours, because the user asked for less work.
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
        saliency: float32 `[H, W]` numpy array at the size and scale that the user asked for.
        extras: Further maps of the same kind by name.
        frame: The RGB frame itself, where a writer needs it.
        interpolated: Whether the map was made from its neighbours, not from the frame.
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
    """What observers did on one frame. One without files: nobody published what they did.

    Attributes:
        label: Of the frame, as the files of its maps are called.
        density: Fixation density: a map file of any size, a video of maps, or a `.mat`.
        fixations: Where they looked: a `.mat`, a binary map, or a file or folder of a whole clip.
        index: Position of this frame, from 0, in a file that holds a whole clip.
        eye: Which eye of a binocular recording; `both` is their mean, where both fixate.
    """

    label: str
    density: Path | None = None
    fixations: Path | None = None
    index: int | None = None
    eye: Eye = "both"


@dataclass(frozen=True)
class Recording:
    """One stimulus of a dataset, a still or a clip, with what observers did on it.

    Attributes:
        name: Unique within the dataset, e.g. `"valid/0601"`.
        source: Image file, video file, or folder of frames.
        annotations: One per frame, in order; exactly one for a still. Those of a clip may be found
            on the disk only when they are asked for. A dataset for a recipe with `slices` has so
            many per frame.
        group: Name of the folder or split part that it belongs to; scores are reported per group.
        fps: Nominal frames per second of a clip; `None` means a still.
        frames: The files of a clip that is a folder of frames, in order, one per annotation.
            `None` for a still and for a video, which may end a frame before its annotations do.
    """

    name: str
    source: Path
    annotations: Sequence[Annotation]
    group: str = ""
    fps: float | None = None
    frames: Sequence[Path] | None = None

    @property
    def is_clip(self) -> bool:
        """Whether it has frames that follow each other in time."""
        return self.fps is not None


@dataclass(frozen=True)
class Submission:
    """How the benchmark of a dataset wants predictions to be handed in.

    Attributes:
        pattern: Path of a map, or of a video of maps, below what is handed in, without suffix:
            `{clip}` is the last part of the recording's name, `{label}` the label of the frame.
        suffixes: Accepted formats, the one that is written first.
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
        """Where the map of one frame goes; of all frames alike where a video is wanted."""
        clip = recording.name.rpartition("/")[2]
        return Path(self.pattern.format(clip=clip, label=annotation.label) + self.suffixes[0])


class Dataset(Protocol):
    """What `DatasetSpec.factory` makes: recordings by split."""

    @property
    def name(self) -> str:
        """As it is registered."""

    @property
    def edition(self) -> str:
        """Which of several published editions it is, or fold; empty where there is only one."""

    @property
    def splits(self) -> Sequence[str]:
        """Names that `recordings` takes; `"train"` and `"valid"` are there if one can train."""

    @property
    def evaluated(self) -> str:
        """The split that scores are usually given for, and that has ground truth."""

    @property
    def kernel(self) -> str:
        """Name of the kernel (`salcli.gaze.kernels`) by which its density maps are made."""

    @property
    def submission(self) -> Submission | None:
        """How predictions are handed in; `None` where nobody wants them."""

    @property
    def problems(self) -> Sequence[str]:
        """What was found missing or wrong in the splits that were asked for so far."""

    def recordings(self, split: str, /) -> Sequence[Recording]:
        """Recordings of one split in natural order.

        Raises:
            UnknownName: There is no such split.
            InputError: Nothing of it is there.
        """


@runtime_checkable
class PublishedContents(Protocol):
    """What a `Dataset` may have besides, if it is published which recordings there are.

    Then `salcli datasets check` compares frames with it, and `salcli datasets pack` needs no copy
    of the dataset.
    """

    @property
    def expected(self) -> Mapping[str, int | Sequence[str]]:
        """Recordings of a split: their number, or the last parts of their names in order."""

    @property
    def frame_counts(self) -> Mapping[str, int]:
        """Number of frames of a clip, by the last part of its name; a still is left out."""


@dataclass(frozen=True)
class Batch:
    """What `Model.losses` gets.

    Attributes:
        inputs: Network input `[B, T, 3, h, w]`, already preprocessed; T is 1 for stills.
        density: Ground-truth fixation density `[B, T, 1, H, W]`; every map sums to 1, or is grey
            from 0 to 255, as the recipe's `truth` says. With the recipe's `targets` "last" only
            that of the last frame, with its `slices` so many maps in place of 1.
        fixations: Binary fixation map of the same shape, bool.
        domain: Name of the dataset that the batch comes from, for models that care.
    """

    inputs: Tensor
    density: Tensor
    fixations: Tensor
    domain: str = ""


@dataclass(frozen=True)
class Loss:
    """What one backward pass minimises.

    Attributes:
        parts: Scalar tensors with a gradient, by name, unweighted; the recipe weighs them.
        frames: Over how many frames the parts are sums; the recipe's `gradient_clip` is for one.
    """

    parts: Mapping[str, Tensor]
    frames: int = 1

    def total(self, weights: Mapping[str, float]) -> Tensor:
        """The weighted sum of the parts; a part that `weights` does not name does not count.

        Raises:
            PluginError: `weights` names no part, or one that is not there.
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
