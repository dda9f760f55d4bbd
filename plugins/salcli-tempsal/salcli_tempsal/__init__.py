"""TempSAL: "Uncovering Temporal Information for Deep Saliency Prediction", CVPR 2023."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from salcli import (
    DatasetSpec,
    ModelSpec,
    ProtocolSpec,
    StyleSpec,
    TrainedOn,
    Weights,
    hookimpl,
    option,
)

if TYPE_CHECKING:
    import typer

__version__ = "0.1.0"

CELL = 32
"""Input sides are multiples of this."""


@dataclass(frozen=True)
class Options:
    """The model's options.

    Raises:
        ValueError: The network does not support this input size.
    """

    network: Literal["auto", "full", "simple", "slices", "image"] = option(
        "auto",
        "full: aggregate map and slices; simple: the same by mixing finished maps only, an early "
        "model; slices or image: one branch alone, at less than half the cost, from its own "
        "weights or from the full network's; auto: what the weights hold",
    )
    encoder: Literal["pnasnet5", "vgg16", "mobilenet_v2"] = option(
        "pnasnet5",
        "encoder of the image branch alone; without published weights but for pnasnet5, and from "
        "torchvision",
    )
    slices: int | None = option(
        None, "number of slices of viewing time; none: as many as the weights have, else 5", min=1
    )
    range: Literal["common", "own", "raw"] = option(
        "common",
        "common: stretch the aggregate to 0 ... 1, and the slices of an image by one common scale; "
        "own: stretch each slice by itself, as in the files that the original writes; raw: leave "
        "the network's values unchanged",
    )
    blur: bool = option(
        False,
        "resize maps to the frame and blur them with an 11x11 Gaussian, as in the original's test "
        "script",
    )
    maximum: Literal["image", "batch"] = option(
        "image",
        "divide slices by the maximum of their image, or of the whole batch as in the original; a "
        "map then depends on which images share its batch",
    )
    share_encoder: Literal["auto", "never"] = option(
        "auto",
        "auto: if both branches have equal encoders, or equal first stages, run these only once; "
        "the maps are the same",
    )
    input_size: int = option(256, "side of the square input in pixels; published weights use 256")
    norms: Literal["still", "batch"] = option(
        "still",
        "training of the mixing module: still freezes the batch norms of the frozen branches; "
        "batch lets them use and follow the batch, as in the original",
    )

    nss: float = option(0.0, "training: weight of - NSS in the loss", min=0)
    sim: float = option(0.0, "training: weight of - SIM in the loss", min=0)
    l1: float = option(
        0.0,
        "training: weight of the mean absolute difference in the loss, from ground truth with "
        "peak 1",
        min=0,
    )

    def __post_init__(self) -> None:
        if self.encoder != "pnasnet5" and self.network not in ("auto", "image"):
            raise ValueError(f"encoder {self.encoder} is for the image branch: network=image")
        if self.input_size < CELL or self.input_size % CELL:
            raise ValueError(f"input_size must be a multiple of {CELL}, not {self.input_size}")


WEIGHTS = (
    Weights(
        tag="published",
        urls=("https://drive.google.com/file/d/1LzZJal2BMjFcOpwI9uOsOC0IQcZVzmEP/view",),
        filename="multilevel_tempsal.pt",
        licence="CC-BY-SA-4.0",
        trained_on=(TrainedOn("ImageNet"), TrainedOn("salicon", ("train",), ("valid",))),
        note="about 972 MB; no hash was published. The authors share it in the Google Drive "
        "folder 1W92oXYra_OPYkR1W56D80iDexWIR7f7Z; the file's own address is known from another "
        "project (numediart/UniRare)",
    ),
)

TEMPSAL = ModelSpec(
    name="tempsal",
    summary="images, over the whole viewing time and second by second; large",
    factory="salcli_tempsal.model:TempSal",
    weights=WEIGHTS,
    options=Options,
    rounding="nearest",
    paper="B. Aydemir, L. Hoffstetter, T. Zhang, M. Salzmann, S. Süsstrunk: TempSAL - Uncovering "
    "Temporal Information for Deep Saliency Prediction. CVPR 2023. "
    "https://arxiv.org/abs/2301.02315",
    context=0,
    year=2023,
    licence="the authors state two: MIT (licence file of the code) and CC BY-SA 4.0 (README and "
    "project page); taken as MIT for code and CC BY-SA 4.0 for weights and data",
    citation="""@InProceedings{aydemir2023tempsal,
    author = {Aydemir, Bahar and Hoffstetter, Ludo and Zhang, Tong and Salzmann, Mathieu and
              S{\\"u}sstrunk, Sabine},
    title = {TempSAL - Uncovering Temporal Information for Deep Saliency Prediction},
    booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition
                 (CVPR)},
    month = {June},
    year = {2023},
    pages = {6461-6470},
}""",
    scores=(
        "SALICON val, aggregate, 5 slices (supplement): CC 0.907, KL 0.199, NSS 1.935, SIM 0.799",
        "SALICON val, slice 1 (supplement): CC 0.899, KL 0.214, NSS 2.453, SIM 0.782",
        "SALICON val, slice 2 (supplement): CC 0.877, KL 0.215, NSS 2.211, SIM 0.776",
        "SALICON val, slice 3 (supplement): CC 0.843, KL 0.247, NSS 1.878, SIM 0.758",
        "SALICON val, slice 4 (supplement): CC 0.825, KL 0.264, NSS 1.740, SIM 0.749",
        "SALICON val, slice 5 (supplement): CC 0.813, KL 0.276, NSS 1.654, SIM 0.743",
    ),
    card={
        "parameters": "234 million (branches of 112 each, mixing module 10)",
        "cost": "79.7 billion multiply-adds per image; 65.6 with equal encoders, 32.0 for the "
        "slices alone, 35.6 for the image branch alone",
        "input": "RGB, 256x256, the aspect ratio is not kept",
        "output": "256x256, stretched to 0 ... 1; extras slice1 ... slice5, one for each second of "
        "viewing; for the slice branch alone, the mean of its slices",
        "time": "none: every frame of a clip is treated as a still",
    },
    comparisons={"two-encoders": {"share_encoder": "never"}},
)

SLICES = DatasetSpec(
    name="salicon-slices",
    summary="SALICON's images with maps for each slice of viewing time, to train TempSAL's slices",
    factory="salcli_tempsal.volumes:open_slices",
    options="salcli_tempsal.volumes:SliceOptions",
    variable="SALICON_DATA_DIR",
    origin="salcli tempsal slices ROOT/fixations -o ROOT",
    layout=(
        "images/COCO_train2014_000000000009.jpg, as in the dataset salicon",
        "saliency_volumes_5/train/COCO_train2014_000000000009_0.png, ..._1.png and so on",
        "fixation_volumes_5/train/    files of the same names",
    ),
)


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """TempSAL."""
    yield TEMPSAL


@hookimpl
def register_protocols() -> Iterable[ProtocolSpec]:
    """TempSAL's protocol."""
    yield ProtocolSpec("tempsal", "salcli_tempsal.protocol:TEMPSAL")


@hookimpl
def register_datasets() -> Iterable[DatasetSpec]:
    """The files that `salcli tempsal slices` writes, as a dataset for training."""
    yield SLICES


@hookimpl
def register_styles() -> Iterable[StyleSpec]:
    """Pictures and panels as on TempSAL's project page."""
    yield StyleSpec(
        "spotlight",
        "grey and dark where the map is low, as TempSAL's authors draw it",
        "salcli_tempsal.spotlight:Spotlight",
    )
    yield StyleSpec(
        "tempsal",
        "the panels of TempSAL's project page",
        "salcli_tempsal.spotlight:TempsalPanels",
        draws="panels",
    )


@hookimpl
def register_commands(app: typer.Typer) -> None:
    """`salcli tempsal`."""
    from salcli_tempsal.commands import group

    app.add_typer(group, name="tempsal")
