"""ViNet for salcli: "Pushing the limits of Visual Modality ...", IROS 2021."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from salcli import ModelSpec, TrainedOn, Weights, hookimpl, option

__version__ = "0.1.0"

UNDECIDED = (
    "PAVEN's published tool and its published training code prepare the network's input in ways "
    "that contradict each other (input_rule=tool and input_rule=train). Which one these weights "
    "were trained with is undecided: nobody has measured it. The tool's is used by default"
)


@dataclass(frozen=True)
class Options:
    """The model's options.

    Raises:
        ValueError: The network does not support this input size.
    """

    input_rule: Literal["vinet", "tool", "train"] = option(
        "vinet",
        "what the network sees: colours as ViNet was trained (vinet); brightness as PAVEN's "
        "published tool (tool) or its training code (train) prepares it. vinet:paven, and a file "
        "whose name contains 'paven', take tool",
    )
    windows: Literal["vinet", "paven"] = option(
        "vinet",
        "the 32 frames for each of the first 31 maps: the following ones backwards (vinet), or "
        "the first 32, so that these maps are all the same (paven, as its tool)",
    )
    input_size: tuple[int, int] = option(
        (224, 384),
        "height and width of the network's input, multiples of 32; the weights were trained at "
        "the default",
    )

    def __post_init__(self) -> None:
        if any(side < 32 or side % 32 for side in self.input_size):
            shown = ",".join(map(str, self.input_size))
            near = ",".join(str(max(32, -(-side // 32) * 32)) for side in self.input_size)
            raise ValueError(f"input_size {shown} must be multiples of 32, such as {near}")


PAVEN_OPTIONS = {"input_rule": "tool"}
"""What the weights of PAVEN need."""

WEIGHTS = (
    Weights(
        tag="paven",
        urls=("https://huggingface.co/lagosproject/paven/resolve/main/paven_vinet_yyy.pt",),
        filename="paven_vinet_yyy.pt",
        options=PAVEN_OPTIONS,
        licence="MIT",
        trained_on=tuple(
            TrainedOn(name)
            for name in (
                *("Kinetics-400", "dhf1k", "EyeFixationMaps", "AVS1K", "LEDOV", "MVVA", "MVS"),
                *("diem", "Coutrot 1", "Coutrot 2", "AVAD", "ETMD", "SumMe"),
            )
        ),
        note="about 124 MB; no checksum was published; trained on what its training code and guide "
        "name, without splits",
        known_limits=UNDECIDED,
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

VINET = ModelSpec(
    name="vinet",
    summary="video with a 3-D network over sliding clips of 32 frames, S3D with skips over time",
    factory="salcli_vinet.model:Vinet",
    weights=WEIGHTS,
    options=Options,
    accepts=frozenset({"clips"}),
    rounding="up",
    paper="S. Jain, P. Yarlagadda, S. Jyoti, S. Karthik, R. Subramanian, V. Gandhi: ViNet: Pushing "
    "the limits of Visual Modality for Audio-Visual Saliency Prediction. IROS 2021. "
    "https://arxiv.org/abs/2012.06170",
    context=31,
    year=2021,
    licence="code and PAVEN's weights: MIT; no licence is stated for ViNet's own files",
    citation="""@misc{jain2021vinet,
    title = {{ViNet}: Pushing the limits of Visual Modality for Audio-Visual Saliency Prediction},
    author = {Jain, Samyak and Yarlagadda, Pradeep and Jyoti, Shreyank and Karthik, Shyamgopal and
              Subramanian, Ramanathan and Gandhi, Vineet},
    year = {2021},
    eprint = {2012.06170},
    archivePrefix = {arXiv},
}

@article{diazhonrubia2025paven,
    title = {{PAVEN}: A Perceptual Algorithm for Versatile video Encoding using Neural networks},
    author = {D{\\'i}az-Honrubia, A. J. and Fern{\\'a}ndez-Lagos, P. and Valle, R. and
              Besc{\\'o}s, J.},
    journal = {Engineering Applications of Artificial Intelligence},
    volume = {159},
    pages = {111664},
    year = {2025},
    doi = {10.1016/j.engappai.2025.111664},
}""",
    scores=(
        "DHF1K test, ViNet's own weights (its authors): NSS 2.872, CC 0.511, SIM 0.381, "
        "AUC-J 0.908, s-AUC 0.729",
        "Hollywood-2 test, fine-tuned (the same): NSS 3.73, CC 0.693, SIM 0.550, AUC-J 0.930, "
        "s-AUC 0.813",
        "UCF-Sports test, fine-tuned (the same): NSS 3.62, CC 0.673, SIM 0.522, AUC-J 0.924, "
        "s-AUC 0.810",
        "vinet:paven: no scores were published",
    ),
    card={
        "parameters": "31.10 million",
        "cost": "114.7 billion multiply-adds per frame",
        "input": "224 x 384, 32 frames per map; colours or brightness, see input_rule",
        "output": "the frame's size: resized, blurred (11 x 11, sigma 2), stretched to 0..1",
        "extras": "raw: the network's own map, in [0, 1], 224 x 384",
        "time": "the last 32 frames; for the first 31 frames the next 32, in reversed order; the "
        "first frame is repeated where a clip has fewer",
    },
)


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """ViNet."""
    yield VINET
