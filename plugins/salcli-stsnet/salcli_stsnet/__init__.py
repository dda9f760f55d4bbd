"""STSNet for salcli: "Spatio-Temporal Saliency Networks for Dynamic Saliency Prediction", TMM 2018.

The nets were published for Caffe; their `.caffemodel` files are read directly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from salcli import ModelSpec, TrainedOn, Weights, hookimpl, option

if TYPE_CHECKING:
    import typer

__version__ = "0.1.0"

Net: TypeAlias = Literal["stsconvnet", "ssnet", "tsnet", "stsmaxnet", "stsavgnet", "earlyfusion"]

Encoding: TypeAlias = Literal["uvm16", "uvm16-mag0", "wheel"]

SMALLEST = 4
"""Smallest input side of the nets in pixels."""


@dataclass(frozen=True)
class Options:
    """The model's options; the defaults are those of the published script.

    Raises:
        ValueError: A value is out of range.
    """

    net: Net = option(
        "stsconvnet",
        "which net of the paper; inferred from the weights file, except that ssnet and tsnet have "
        "the same layers",
    )
    flow: str = option(
        "auto",
        "source of the second stream's optical flow: dis, farneback, raft, raft-large, a folder of "
        ".flo, .npy or picture files, none (no motion), or frame (the frame itself instead of "
        "flow, as in the published script); auto is dis for clips and frame for stills",
    )
    flow_encoding: Encoding = option(
        "uvm16",
        "how to encode flow as a picture: components and magnitude around grey, 16 levels per "
        "pixel of motion on a grid of 320 x 240 (uvm16), the same with the magnitude from black "
        "(uvm16-mag0), or Middlebury's colour wheel (wheel)",
    )
    flow_direction: Literal["backward", "forward"] = option(
        "backward", "flow from the frame before to this one, or from this one to the next"
    )
    cuts: float | None = option(
        None,
        "treat two frames as different shots, without motion between them, if their pixels differ "
        "by more grey levels (of 255) than this on average; none: compute flow across cuts",
    )
    input_size: tuple[int, int] | None = option(
        None,
        "height and width of the net's input, such as the paper's 240,320; none keeps each frame's "
        "own, up to 512 pixels a side",
    )
    stretch: Literal["frame", "video", "none"] = option(
        "frame",
        "divide each map by its own maximum (frame), or all maps of a clip by their largest value, "
        "which takes a second pass over the clip (video), or do not (none)",
    )
    pad: bool = option(
        False,
        "pad frames by reflection to multiples of 4 pixels a side; by default maps that lack up to "
        "3 pixels are stretched, as in the published script",
    )
    convolution: Literal["frequency", "direct"] = option(
        "frequency",
        "how a CPU computes wide convolutions in float32: in the frequency domain (those of 3x3 by "
        "Winograd's way), or directly, which yields the same maps with less memory but more time",
    )

    def __post_init__(self) -> None:
        size = self.input_size
        if size is not None and min(size) < SMALLEST:
            raise ValueError(f"input_size must be at least {SMALLEST} pixels a side, not {size}")
        if not self.flow:
            raise ValueError("flow must be the name of a method, or a folder")


UNKNOWN_HASH = "no hash was published; the first download's is recorded"

FLOWS = ("FlyingChairs", "FlyingThings3D")

WEIGHTS = (
    Weights(
        tag="stsconvnet",
        urls=("https://www.dropbox.com/s/ja8x154a845lagc/stsconvnet.caffemodel?dl=1",),
        filename="stsconvnet.caffemodel",
        options={"net": "stsconvnet"},
        licence="none stated",
        trained_on=(TrainedOn("diem"),),
        note="the authors state no licence, so all rights are reserved, and whoever downloads the "
        f"file accepts that; {UNKNOWN_HASH}",
    ),
    Weights(
        tag="salnet",
        urls=(
            "https://imatge.upc.edu/web/sites/default/files/resources/1720/saliency/2016-cvpr/"
            "deep_net_model.caffemodel",
        ),
        filename="deep_net_model.caffemodel",
        options={"net": "ssnet"},
        licence="MIT",
        trained_on=(TrainedOn("salicon"),),
        note=f"SalNet of Pan et al., which has the layers of ssnet; {UNKNOWN_HASH}",
    ),
    Weights(
        tag="raft-small",
        urls=("https://download.pytorch.org/models/raft_small_C_T_V2-01064c6d.pth",),
        filename="raft_small_C_T_V2-01064c6d.pth",
        licence="BSD-3-Clause",
        trained_on=tuple(map(TrainedOn, FLOWS)),
        note="optical flow for the option flow=raft; the file name contains the start of its hash",
    ),
    Weights(
        tag="raft-large",
        urls=("https://download.pytorch.org/models/raft_large_C_T_SKHT_V2-ff5fadd5.pth",),
        filename="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
        licence="BSD-3-Clause",
        trained_on=tuple(map(TrainedOn, (*FLOWS, "Sintel", "KITTI", "HD1K"))),
        note="optical flow for the option flow=raft-large; the file name contains the start of its "
        "hash",
    ),
)

STSNET = ModelSpec(
    name="stsnet",
    summary="video with two streams: appearance (the frame) and motion (optical flow)",
    factory="salcli_stsnet.model:Stsnet",
    weights=WEIGHTS,
    options=Options,
    rounding="floor",
    paper="C. Bak, A. Kocak, E. Erdem, A. Erdem: Spatio-Temporal Saliency Networks for Dynamic "
    "Saliency Prediction. IEEE Transactions on Multimedia 20(7), 2018. "
    "https://arxiv.org/abs/1607.04730",
    context=1,
    year=2018,
    licence="code: MIT; published weights: none stated (SalNet's: MIT)",
    citation="""@article{8119879,
    author = {Bak, Cagdas and Kocak, Aysun and Erdem, Erkut and Erdem, Aykut},
    title = {Spatio-Temporal Saliency Networks for Dynamic Saliency Prediction},
    journal = {IEEE Transactions on Multimedia},
    volume = {20}, number = {7}, pages = {1688-1698}, year = {2018},
    doi = {10.1109/TMM.2017.2777665},
}""",
    scores=(
        "DHF1K test (DHF1K benchmark, 'Two-stream'): AUC-J 0.834, SIM 0.197, s-AUC 0.581, "
        "CC 0.325, NSS 1.632",
        "Hollywood-2 test (same): AUC-J 0.863, SIM 0.276, s-AUC 0.710, CC 0.382, NSS 1.748",
        "UCF-Sports test (same): AUC-J 0.832, SIM 0.264, s-AUC 0.685, CC 0.343, NSS 1.753",
    ),
    card={
        "parameters": "41.25 million (stsconvnet); ssnet and tsnet 25.81, stsmaxnet 40.72, "
        "earlyfusion 34.69, stsavgnet 51.61 million",
        "cost": "218 billion multiply-adds at 240 x 320 (stsconvnet; ssnet 134), growing with the "
        "area",
        "input": "the frame, at most 512 pixels a side, and a picture of the flow from the frame "
        "before, of the same size; stills take the frame twice",
        "output": "saliency divided by its maximum, at the frame's size",
        "time": "each map depends on one frame and its flow only",
    },
    comparisons={"direct": {"convolution": "direct"}},
)


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """STSNet."""
    yield STSNET


@hookimpl
def register_commands(app: typer.Typer) -> None:
    """`salcli stsnet`: export weights for Caffe, and join two streams."""
    from salcli_stsnet.commands import app as own

    app.add_typer(own, name="stsnet")
