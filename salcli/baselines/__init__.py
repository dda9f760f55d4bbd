"""Descriptions of the baselines: models that need no weights, to read scores against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from salcli.specs import ModelSpec, option

__all__ = ["BASELINES", "CentreOptions", "MeanMapOptions", "SpectralResidualOptions"]


@dataclass(frozen=True)
class CentreOptions:
    """Options of the model."""

    sigma_x: float = option(
        0.24,
        "standard deviation across, as a share of the frame's width; 0.24 is most "
        "likely for the fixations of OSIE",
        above=0,
    )
    sigma_y: float = option(
        0.21, "standard deviation down, as a share of the frame's height; 0.21 likewise", above=0
    )


@dataclass(frozen=True)
class MeanMapOptions:
    """Options of the model."""

    map: Path | None = option(
        None, "the mean density map, .npy or an 8-bit image, of any size; required"
    )


@dataclass(frozen=True)
class SpectralResidualOptions:
    """Options of the model."""

    width: int = option(64, "width in pixels to which frames are resized first", above=0)
    sigma: float = option(
        2.5,
        "standard deviation of the Gaussian that smooths the map, in these pixels; 2.5 as in the "
        "authors' code, 8 as in the text of the paper",
        above=0,
    )


CENTRE = ModelSpec(
    name="centre",
    summary="baseline: a Gaussian in the middle of the frame, whatever it shows",
    factory="salcli.baselines.priors:Centre",
    licence="MIT",
    options=CentreOptions,
    context=0,
    card={"output": "1 at the centre of the frame, at the frame's size"},
)

MEAN_MAP = ModelSpec(
    name="mean-map",
    summary="baseline: the mean density map of a training split, whatever the frame shows",
    factory="salcli.baselines.priors:MeanMap",
    licence="MIT",
    options=MeanMapOptions,
    context=0,
    card={"output": "that map divided by its maximum, stretched to the frame's size"},
)

SPECTRAL_RESIDUAL = ModelSpec(
    name="spectral-residual",
    summary="baseline: what is unusual in the frame's spectrum; knows nothing of observers",
    factory="salcli.baselines.spectral:SpectralResidual",
    licence="MIT",
    options=SpectralResidualOptions,
    paper="X. Hou, L. Zhang: Saliency Detection: A Spectral Residual Approach. CVPR 2007.",
    year=2007,
    citation="""@inproceedings{hou2007saliency,
    author = {Hou, Xiaodi and Zhang, Liqing},
    title = {Saliency Detection: A Spectral Residual Approach},
    booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
    year = {2007},
}""",
    context=0,
    card={
        "input": "grey, 64 pixels wide",
        "output": "from 0 to 1, 64 pixels wide",
    },
)

BASELINES = (CENTRE, MEAN_MAP, SPECTRAL_RESIDUAL)
"""From the one that ignores the frame to the one that looks at it."""
