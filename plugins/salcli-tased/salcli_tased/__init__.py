"""TASED-Net for salcli: "Temporally-Aggregating Spatial Encoder-Decoder Network", ICCV 2019."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from salcli import ModelSpec, TrainedOn, Weights, hookimpl, option

__version__ = "0.1.0"


def fits(side: int) -> bool:
    """Whether the poolings and unpoolings of the network fit a height or width.

    Four halvings that round up must leave an even number; multiples of 4 give maps of that side.
    """
    return side > 0 and side % 4 == 0 and -(-side // 16) % 2 == 0


@dataclass(frozen=True)
class Options:
    """The model's options.

    Raises:
        ValueError: The network does not support this input size.
    """

    mode: Literal["stream", "naive"] = option(
        "stream",
        "stream computes once what consecutive clips share; naive runs the original's "
        "operators on every clip by itself. The maps agree within rounding",
    )
    stride: int = option(
        1, "compute one map for every N frames and interpolate those between", min=1
    )
    short: Literal["cyclic", "mirror", "strict"] = option(
        "cyclic",
        "how to treat clips of fewer than 62 frames (2 clip_length - 2): repeat them from the "
        "start (cyclic), play them forwards and backwards (mirror), or refuse them as the original "
        "does (strict)",
    )
    input_size: tuple[int, int] = option(
        (224, 384),
        "height and width of the network's input; the weights were trained at the default",
    )
    clip_length: Literal[16, 32, 64] = option(
        32,
        "frames from which one map is computed; the published weights were trained with 32, other "
        "values only change the poolings over time",
    )
    loss: Literal["batch", "each"] = option(
        "batch",
        "training: treat the whole batch of maps as one distribution, as published, so that bright "
        "maps weigh more (batch), or each map by itself (each)",
    )
    frozen_norms: Literal["none", "encoder", "all"] = option(
        "none",
        "training: batch norms to freeze, since the statistics of a few clips are poor; the "
        "published training freezes none",
    )

    def __post_init__(self) -> None:
        if not all(map(fits, self.input_size)):
            near = ",".join(
                str(next(n for n in range(max(s, 1), s + 33) if fits(n)))
                for s in (max(side, 0) for side in self.input_size)
            )
            raise ValueError(
                f"input_size {','.join(map(str, self.input_size))} does not fit the network's "
                f"poolings; the next larger one that does is {near}"
            )


DRIVE = "https://drive.google.com/file/d/{}/view"
NO_HASH = "no checksum was published"

WEIGHTS = (
    Weights(
        tag="updated",
        urls=(
            DRIVE.format("1y4KSTm-e7kP84k0IyVI-rRtmYZkrC-wL"),
            DRIVE.format("1pn_ioHdeUzBcX7FBTP8S0f_Ebxpp1Hlf"),
        ),
        filename="TASED_updated.pt",
        licence="MIT (licence of the repository that links it; none is stated for the file)",
        trained_on=(TrainedOn("Kinetics-400"), TrainedOn("dhf1k", ("train",))),
        note=f"what the authors recommend; about 85 MB; {NO_HASH}",
    ),
    Weights(
        tag="v2",
        urls=(DRIVE.format("11DLJkuhRHHdRziYc2dQBiyPzf6QGn041"),),
        filename="TASED_v2.pt",
        licence="MIT (licence of the repository that linked it; none is stated for the file)",
        trained_on=(TrainedOn("Kinetics-400"), TrainedOn("dhf1k", ("train",))),
        note=f"the first public file, from 2019; its link may be dead; about 85 MB; {NO_HASH}",
    ),
    Weights(
        tag="s3d",
        urls=(
            "https://raw.githubusercontent.com/v-iashin/video_features/"
            "a2f61b7a4cf0ca6a2d91dcc2182f57e7cfd12664/models/s3d/checkpoint/"
            "S3D_kinetics400_torchified.pt",
        ),
        hash="gitblob:65b27cbb412937b3dd705f4216cb822d679535df",
        filename="S3D_kinetics400_torchified.pt",
        licence="MIT (of the S3D repository, Copyright 2019 Kyle Min)",
        trained_on=(TrainedOn("Kinetics-400"),),
        note="S3D, the start for training; a copy of S3D_kinetics400.pt in another project",
    ),
)

TASED = ModelSpec(
    name="tased",
    summary="video with a 3-D network over sliding clips of 32 frames, exact and fast",
    factory="salcli_tased.model:Tased",
    weights=WEIGHTS,
    options=Options,
    accepts=frozenset({"clips"}),
    rounding="floor",
    paper="K. Min, J. J. Corso: TASED-Net: Temporally-Aggregating Spatial Encoder-Decoder Network "
    "for Video Saliency Detection. ICCV 2019. https://arxiv.org/abs/1908.05786",
    context=62,
    year=2019,
    licence="code: MIT; weights: no separate licence is stated, they are linked from MIT code",
    citation="""@inproceedings{min2019tased,
    title = {{TASED}-Net: Temporally-Aggregating Spatial Encoder-Decoder Network for Video
             Saliency Detection},
    author = {Min, Kyle and Corso, Jason J.},
    booktitle = {Proceedings of the IEEE International Conference on Computer Vision (ICCV)},
    pages = {2394--2403},
    year = {2019},
}""",
    scores=(
        "DHF1K test, tased:updated (its authors): NSS 2.797, CC 0.489, SIM 0.393, AUC-J 0.897, "
        "s-AUC 0.712",
        "DHF1K test, tased:v2 (its authors): NSS 2.621, CC 0.466, SIM 0.336, AUC-J 0.898, "
        "s-AUC 0.716",
        "DHF1K test, paper (weights never published): NSS 2.667, CC 0.470, SIM 0.361, AUC-J 0.895, "
        "s-AUC 0.712",
    ),
    card={
        "parameters": "21.26 million",
        "cost": "42.5 billion multiply-adds per frame; 78.5 billion with mode=naive",
        "input": "RGB in -1..1, 224 x 384, 32 frames per map",
        "output": "224 x 384: floor(255 p), blurred (sigma 7), divided by its maximum",
        "extras": "raw: the network's own map p, in [0, 1]",
        "time": "the last 32 frames; for the first 31 frames the next 32, in reversed order",
    },
    comparisons={"naive": {"mode": "naive"}},
)


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """TASED-Net."""
    yield TASED
