"""Baselines, described: models that need no weights, so that scores can be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from salcli.specs import ModelSpec

__all__ = ["BASELINES", "CentreOptions", "MeanMapOptions", "SpectralResidualOptions"]


@dataclass(frozen=True)
class CentreOptions:
    """What `-O key=value` sets.

    Raises:
        ValueError: A width is not above zero.
    """

    sigma_x: float = field(
        default=0.24,
        metadata={
            "help": "standard deviation across, as a share of the frame's width; 0.24 is most "
            "likely for the fixations of OSIE"
        },
    )
    sigma_y: float = field(
        default=0.21,
        metadata={
            "help": "standard deviation down, as a share of the frame's height; 0.21 likewise"
        },
    )

    def __post_init__(self) -> None:
        if not (self.sigma_x > 0 and self.sigma_y > 0):
            raise ValueError("sigma_x and sigma_y must be above 0")


@dataclass(frozen=True)
class MeanMapOptions:
    """What `-O key=value` sets."""

    map: Path | None = field(
        default=None,
        metadata={"help": "the mean density map, .npy or an 8-bit image, of any size; needed"},
    )


@dataclass(frozen=True)
class SpectralResidualOptions:
    """What `-O key=value` sets.

    Raises:
        ValueError: A number is not above zero.
    """

    width: int = field(
        default=64, metadata={"help": "width in pixels to which frames are brought first"}
    )
    sigma: float = field(
        default=2.5,
        metadata={
            "help": "of the Gaussian that smooths the map, in these pixels; 2.5 as in the "
            "authors' code, 8 as in the text of the paper"
        },
    )

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.sigma > 0):
            raise ValueError("width and sigma must be above 0")


CENTRE = ModelSpec(
    name="centre",
    summary="baseline: a Gaussian in the middle of the frame, whatever it shows",
    factory="salcli.baselines.priors:Centre",
    options=CentreOptions,
    card={"output": "1 at the centre of the frame, at the frame's size"},
)

MEAN_MAP = ModelSpec(
    name="mean-map",
    summary="baseline: the mean density map of a training split, whatever the frame shows",
    factory="salcli.baselines.priors:MeanMap",
    options=MeanMapOptions,
    card={"output": "that map divided by its maximum, stretched to the frame's size"},
)

SPECTRAL_RESIDUAL = ModelSpec(
    name="spectral-residual",
    summary="baseline: what is unusual in the frame's spectrum; knows nothing of observers",
    factory="salcli.baselines.spectral:SpectralResidual",
    options=SpectralResidualOptions,
    paper="X. Hou, L. Zhang: Saliency Detection: A Spectral Residual Approach. CVPR 2007.",
    year=2007,
    citation="""@inproceedings{hou2007saliency,
    author = {Hou, Xiaodi and Zhang, Liqing},
    title = {Saliency Detection: A Spectral Residual Approach},
    booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
    year = {2007},
}""",
    card={
        "input": "grey, 64 pixels wide",
        "output": "from 0 to 1, 64 pixels wide",
    },
)

BASELINES = (CENTRE, MEAN_MAP, SPECTRAL_RESIDUAL)
"""In the order of how much they know of the frame."""
