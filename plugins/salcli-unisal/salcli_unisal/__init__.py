"""UNISAL for salcli: "Unified Image and Video Saliency Modeling", ECCV 2020."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from salcli import ModelSpec, ProtocolSpec, StyleSpec, TrainedOn, Weights, hookimpl, option

if TYPE_CHECKING:
    import typer

__version__ = "0.1.0"

Domain: TypeAlias = Literal["DHF1K", "Hollywood", "UCFSports", "SALICON"]

DOMAINS: tuple[Domain, ...] = ("DHF1K", "Hollywood", "UCFSports", "SALICON")
"""Training domains of the published weights: three video datasets and one of stills."""

Rules: TypeAlias = Literal["DHF1K", "Hollywood", "UCFSports", "SALICON", "MIT1003"]
"""Datasets with input sizes, or an interleaving of frames, of their own in the published code."""

Part: TypeAlias = Literal[
    "ds_bn", "ds_gaussians", "ds_adaptation", "ds_smoothing", "gaussians", "bypass_rnn", "res_rnn"
]
"""Switches of the paper's ablation, by the names of the published code."""

SOURCES = {
    "dhf1k": "DHF1K",
    "hollywood2": "Hollywood",
    "ucfsports": "UCFSports",
    "salicon": "SALICON",
    "mit1003": "MIT1003",
    "mit300": "MIT300",
}
"""The published code's names for the datasets that it supports."""

TRAINED_AS: dict[str, Domain] = {"MIT1003": "SALICON", "MIT300": "SALICON"}
"""The domain for datasets without their own."""


@dataclass(frozen=True)
class Options:
    """The model's options.

    Raises:
        ValueError: An unknown domain among the sources, or a domain that is not among them.
    """

    domain: Literal["auto", Domain] = option(
        "auto",
        "training domain whose norms, priors, fusion and smoothing are used; auto selects the "
        "dataset's domain if a training dataset is named, else SALICON for stills and DHF1K for "
        "clips. SALICON treats every frame as a still",
    )
    rules: Literal["auto", Rules] = option(
        "auto",
        "dataset by whose rules input sizes are chosen and the frames of a clip interleaved; auto "
        "selects the named dataset's, else DHF1K's for clips and SALICON's for stills; MIT1003's "
        "sizes are those of its finetuning",
    )
    sources: tuple[Domain, ...] = option(
        DOMAINS, "domains that the weights support, separated by commas"
    )
    padding: Literal["symmetric", "same"] = option(
        "symmetric",
        "the encoder's padding when it halves resolution: symmetric as published; same for an "
        "encoder trained in TensorFlow",
    )

    ablate: tuple[Part, ...] = option(
        (),
        "training: parts of the network to switch off, separated by commas. ds_bn, ds_gaussians, "
        "ds_adaptation, ds_smoothing: norms, priors, fusion and smoothing are the same for all "
        "domains; gaussians: no priors; bypass_rnn: stills go through the recurrence, too; "
        "res_rnn, only with bypass_rnn: its output replaces the encoder's",
    )

    def __post_init__(self) -> None:
        unknown = [source for source in self.sources if source not in DOMAINS]
        if unknown or not self.sources:
            raise ValueError(f"sources must be some of {', '.join(DOMAINS)}, not {unknown}")
        if self.domain not in ("auto", *self.sources):
            raise ValueError(f"these weights support {', '.join(self.sources)}, not {self.domain}")
        if "res_rnn" in self.ablate and "bypass_rnn" not in self.ablate:
            raise ValueError("ablate=res_rnn needs bypass_rnn as well: stills have no recurrence")


PUBLISHED = "https://github.com/rdroste/unisal/raw/master/training_runs/pretrained_unisal"
RAW = "https://raw.githubusercontent.com/rdroste/unisal/master/training_runs/pretrained_unisal"

ADS = "https://huggingface.co/pranikz/MediaAttention-Ads/resolve/main/ads-v1.pth"

LIMITS = (
    "knows photographs: on posters, long texts and web pages it misses headlines; "
    "unisal:ads, trained on designs, is better for screenshots"
)
JOINTLY = (
    TrainedOn("dhf1k", ("train",), ("valid",)),
    TrainedOn("hollywood2", ("train",)),
    TrainedOn("ucfsports", ("train",)),
    TrainedOn("salicon", ("train",)),
)
"""Trained side by side."""

WEIGHTS = (
    Weights(
        tag="best",
        urls=(f"{PUBLISHED}/weights_best.pth", f"{RAW}/weights_best.pth"),
        hash="gitblob:f06b52c56405bbf11b40cf1b4307573aa4035bea",
        filename="weights_best.pth",
        licence="Apache-2.0",
        known_limits=LIMITS,
        trained_on=JOINTLY,
    ),
    Weights(
        tag="mit1003",
        urls=(f"{PUBLISHED}/weights_ft_mit1003.pth", f"{RAW}/weights_ft_mit1003.pth"),
        hash="gitblob:2a14bf648bf090a771152bb0f9da2da311c1cbef",
        filename="weights_ft_mit1003.pth",
        options={"domain": "SALICON"},
        licence="Apache-2.0",
        known_limits=LIMITS,
        trained_on=(*JOINTLY, TrainedOn("mit1003", ("train",), ("valid",), edition="fold 0")),
    ),
    Weights(
        tag="open",
        resource="weights/unisal-open.safetensors",
        hash="sha256:0fa9a8187af626fc40edff46c298ccfd3c02d42fba9f5a051aefe1c13d3db0a2",
        size=6_505_828,
        filename="unisal-open.safetensors",
        options={"sources": ("SALICON",), "padding": "same", "rules": "SALICON"},
        licence="MIT AND Apache-2.0",
        trained_on=(
            TrainedOn("osie", ("train",), ("valid",)),
            TrainedOn("Saliency in Crowd"),
            TrainedOn("Scene"),
        ),
        note="included in the wheel; processes clips frame by frame; see the README of "
        "salcli-unisal",
        known_limits=LIMITS,
    ),
    Weights(
        tag="ads",
        urls=(ADS,),
        filename="ads-v1.pth",
        options={"domain": "SALICON", "rules": "SALICON"},
        licence="Apache-2.0",
        trained_on=(TrainedOn("designs, by the authors of MediaAttention-Ads v1"),),
        note="for designs, screenshots and advertisements; not by UNISAL's authors, who did not "
        "publish weights for them. Processes clips frame by frame. No hash was published",
    ),
)

UNISAL = ModelSpec(
    name="unisal",
    summary="images and video with one small network; the default, with bundled weights",
    factory="salcli_unisal.model:Unisal",
    weights=WEIGHTS,
    options=Options,
    rounding="floor",
    paper="R. Droste, J. Jiao, J. A. Noble: Unified Image and Video Saliency Modeling. ECCV 2020. "
    "https://arxiv.org/abs/2003.05477",
    year=2020,
    licence="code: MIT; published weights: Apache-2.0",
    citation="""@inproceedings{drostejiao2020,
    author = {{Droste}, Richard and {Jiao}, Jianbo and {Noble}, J. Alison},
    title = "{Unified Image and Video Saliency Modeling}",
    booktitle = {Proceedings of the 16th European Conference on Computer Vision (ECCV)},
    year = {2020},
}""",
    scores=(
        "DHF1K test (paper): AUC-J 0.901, SIM 0.390, s-AUC 0.691, CC 0.490, NSS 2.776",
        "Hollywood-2 test (paper): AUC-J 0.934, SIM 0.542, s-AUC 0.795, CC 0.673, NSS 3.901",
        "UCF-Sports test (paper): AUC-J 0.918, SIM 0.523, s-AUC 0.775, CC 0.644, NSS 3.381",
        "SALICON 2017 test (paper): SIM 0.775, s-AUC 0.739, CC 0.879, NSS 1.952",
        "UEyes, 108 test designs, unisal:ads (its authors): CC 0.735, where UNISAL has 0.467",
    ),
    card={
        "parameters": "3.71 million (3.19 million for SALICON alone)",
        "cost": "about 0.85 to 1.1 billion multiply-adds per frame",
        "input": "RGB, 7 to 13 cells of 32 pixels a side, closest to the frame's aspect ratio",
        "output": "density divided by its maximum, at the frame's size",
        "time": "every fifth (DHF1K) or fourth frame shares a recurrent state, zero at first",
    },
)


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """UNISAL."""
    yield UNISAL


@hookimpl
def register_protocols() -> Iterable[ProtocolSpec]:
    """UNISAL's protocol."""
    yield ProtocolSpec("unisal", "salcli_unisal.protocol:UNISAL")


@hookimpl
def register_styles() -> Iterable[StyleSpec]:
    """UNISAL's panels."""
    yield StyleSpec(
        "unisal",
        "the panels of UNISAL's program",
        "salcli_unisal.panels:UnisalPanels",
        draws="panels",
    )


@hookimpl
def register_commands(app: typer.Typer) -> None:
    """`salcli unisal`."""
    from salcli_unisal.commands import group

    app.add_typer(group, name="unisal")
