"""Everything heavy that a model, recipe, dataset, metric, filter or command of a plugin may import.

Nothing is defined here; each name is imported from its place when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from salcli._lazy import lazily

if TYPE_CHECKING:
    from salcli import devices
    from salcli.commands._options import (
        Device,
        ModelName,
        ModelOptions,
        Offline,
        Quiet,
        Verbose,
        WeightsFile,
    )
    from salcli.datasets.collection import Collection, Found, lone_root
    from salcli.datasets.framefiles import by_stem
    from salcli.datasets.open import open_dataset
    from salcli.datasets.published import dhf1k_frames, ucf_sports_clips
    from salcli.datasets.salicon import SaliconOptions, open_salicon
    from salcli.datasets.ucfsports import validation_clips
    from salcli.engines.graph import Exportable, RunNetwork
    from salcli.files import atomic, checkpoint
    from salcli.files.checkpoint import COUNTER, Checkpoint, load_strict
    from salcli.gaze import matlab
    from salcli.gaze.groundtruth import fixation_map
    from salcli.gaze.pairing import FileNames
    from salcli.inputs import IMAGENET, MINUS_ONE_TO_ONE, Standardisation, pixels, resized
    from salcli.maps import blur, gaussian_blur, peaked, resize, stretch, to_8bit
    from salcli.media import images
    from salcli.media.open import open_stimulus
    from salcli.models import winograd
    from salcli.models.framewise import framewise, input_chunks, one_by_one
    from salcli.models.fusion import FusedConvolution, fuse, with_shared_weights
    from salcli.models.loading import create
    from salcli.models.model import Model
    from salcli.output import png
    from salcli.panels.board import ComparedFrame, ScoredMap, open_panels
    from salcli.panels.files import write_gif
    from salcli.protocols import Negatives, Preparation, Protocol, Variant
    from salcli.protocols.resampling import resample
    from salcli.recipe import WHOLE
    from salcli.render import colormaps, legend, lettering
    from salcli.render.styles import Look, MapStyle
    from salcli.specs import parse_options
    from salcli.stream import (
        FrameTap,
        batched,
        in_order,
        on_one_core,
        one_core,
        paired,
        prefetch,
        sliding,
    )
    from salcli.terminal.logs import logging_to_terminal
    from salcli.terminal.progress import download_bar, watch
    from salcli.training import losses
    from salcli.training.batches import Batches
    from salcli.training.losses import density_losses
    from salcli.training.plan import Corpus
    from salcli.training.sampling import Sampling
    from salcli.weights import store
    from salcli.weights.download import fetch
    from salcli.weights.drives import is_page

__all__ = [
    "Batches",
    "COUNTER",
    "Checkpoint",
    "Collection",
    "ComparedFrame",
    "Corpus",
    "Device",
    "Exportable",
    "FileNames",
    "Found",
    "FrameTap",
    "FusedConvolution",
    "IMAGENET",
    "Look",
    "MINUS_ONE_TO_ONE",
    "MapStyle",
    "Model",
    "ModelName",
    "ModelOptions",
    "Negatives",
    "Offline",
    "Preparation",
    "Protocol",
    "Quiet",
    "RunNetwork",
    "SaliconOptions",
    "Sampling",
    "ScoredMap",
    "Standardisation",
    "Variant",
    "Verbose",
    "WHOLE",
    "WeightsFile",
    "atomic",
    "batched",
    "blur",
    "by_stem",
    "checkpoint",
    "colormaps",
    "create",
    "density_losses",
    "devices",
    "dhf1k_frames",
    "download_bar",
    "fetch",
    "fixation_map",
    "framewise",
    "fuse",
    "gaussian_blur",
    "images",
    "in_order",
    "input_chunks",
    "is_page",
    "legend",
    "lettering",
    "load_strict",
    "logging_to_terminal",
    "lone_root",
    "losses",
    "matlab",
    "on_one_core",
    "one_by_one",
    "one_core",
    "open_dataset",
    "open_panels",
    "open_salicon",
    "open_stimulus",
    "paired",
    "parse_options",
    "peaked",
    "pixels",
    "png",
    "prefetch",
    "resample",
    "resize",
    "resized",
    "sliding",
    "store",
    "stretch",
    "to_8bit",
    "ucf_sports_clips",
    "validation_clips",
    "watch",
    "winograd",
    "with_shared_weights",
    "write_gif",
]

__getattr__ = lazily(
    __name__,
    {
        "Batches": "salcli.training.batches",
        "COUNTER": "salcli.files.checkpoint",
        "Checkpoint": "salcli.files.checkpoint",
        "Collection": "salcli.datasets.collection",
        "ComparedFrame": "salcli.panels.board",
        "Corpus": "salcli.training.plan",
        "Device": "salcli.commands._options",
        "Exportable": "salcli.engines.graph",
        "FileNames": "salcli.gaze.pairing",
        "Found": "salcli.datasets.collection",
        "FrameTap": "salcli.stream",
        "FusedConvolution": "salcli.models.fusion",
        "IMAGENET": "salcli.inputs",
        "Look": "salcli.render.styles",
        "MINUS_ONE_TO_ONE": "salcli.inputs",
        "MapStyle": "salcli.render.styles",
        "Model": "salcli.models.model",
        "ModelName": "salcli.commands._options",
        "ModelOptions": "salcli.commands._options",
        "Negatives": "salcli.protocols",
        "Offline": "salcli.commands._options",
        "Preparation": "salcli.protocols",
        "Protocol": "salcli.protocols",
        "Quiet": "salcli.commands._options",
        "RunNetwork": "salcli.engines.graph",
        "SaliconOptions": "salcli.datasets.salicon",
        "Sampling": "salcli.training.sampling",
        "ScoredMap": "salcli.panels.board",
        "Standardisation": "salcli.inputs",
        "Variant": "salcli.protocols",
        "Verbose": "salcli.commands._options",
        "WHOLE": "salcli.recipe",
        "WeightsFile": "salcli.commands._options",
        "atomic": "salcli.files.atomic",
        "batched": "salcli.stream",
        "blur": "salcli.maps",
        "by_stem": "salcli.datasets.framefiles",
        "checkpoint": "salcli.files.checkpoint",
        "colormaps": "salcli.render.colormaps",
        "create": "salcli.models.loading",
        "density_losses": "salcli.training.losses",
        "devices": "salcli.devices",
        "dhf1k_frames": "salcli.datasets.published",
        "download_bar": "salcli.terminal.progress",
        "fetch": "salcli.weights.download",
        "fixation_map": "salcli.gaze.groundtruth",
        "framewise": "salcli.models.framewise",
        "fuse": "salcli.models.fusion",
        "gaussian_blur": "salcli.maps",
        "images": "salcli.media.images",
        "in_order": "salcli.stream",
        "input_chunks": "salcli.models.framewise",
        "is_page": "salcli.weights.drives",
        "legend": "salcli.render.legend",
        "lettering": "salcli.render.lettering",
        "load_strict": "salcli.files.checkpoint",
        "logging_to_terminal": "salcli.terminal.logs",
        "lone_root": "salcli.datasets.collection",
        "losses": "salcli.training.losses",
        "matlab": "salcli.gaze.matlab",
        "on_one_core": "salcli.stream",
        "one_by_one": "salcli.models.framewise",
        "one_core": "salcli.stream",
        "open_dataset": "salcli.datasets.open",
        "open_panels": "salcli.panels.board",
        "open_salicon": "salcli.datasets.salicon",
        "open_stimulus": "salcli.media.open",
        "paired": "salcli.stream",
        "parse_options": "salcli.specs",
        "peaked": "salcli.maps",
        "pixels": "salcli.inputs",
        "png": "salcli.output.png",
        "prefetch": "salcli.stream",
        "resample": "salcli.protocols.resampling",
        "resize": "salcli.maps",
        "resized": "salcli.inputs",
        "sliding": "salcli.stream",
        "store": "salcli.weights.store",
        "stretch": "salcli.maps",
        "to_8bit": "salcli.maps",
        "ucf_sports_clips": "salcli.datasets.published",
        "validation_clips": "salcli.datasets.ucfsports",
        "watch": "salcli.terminal.progress",
        "winograd": "salcli.models.winograd",
        "with_shared_weights": "salcli.models.fusion",
        "write_gif": "salcli.panels.files",
    },
)


def __dir__() -> list[str]:
    """The public names, those that are not imported yet as well."""
    return __all__
