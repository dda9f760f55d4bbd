"""`salcli.crop`: crops of videos and images that keep what people look at, for Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from salcli.cropping.document import CropDocument
from salcli.cropping.job import CropJob
from salcli.cropping.paths import Limits, Motion
from salcli.cropping.plan import Backdrop, CropSettings
from salcli.cropping.windows import shape, sized
from salcli.media.open import find_inputs
from salcli.models.loading import Loaded, load_model
from salcli.plugins import registry
from salcli.prediction import manifest
from salcli.prediction.mapstream import MapStream, ModelMaps
from salcli.scoring.replay import StoredStream
from salcli.terminal.progress import watch
from salcli.types import Kind

__all__ = ["crop", "map_stream"]


def crop(
    source: str | Path | Sequence[str | Path],
    ratios: Sequence[str] = (),
    *,
    sizes: Sequence[tuple[int, int]] = (),
    predictions: str | Path | None = None,
    model: str | Loaded = registry.DEFAULT_MODEL,
    device: str = "auto",
    motion: Motion = "follow",
    max_speed: float = Limits.speed,
    max_acceleration: float = Limits.acceleration,
    min_share: float = 0.0,
    padding: Backdrop = "blur",
    save: Sequence[str] = ("crop",),
    key_frames: int = 0,
    kind: Kind = "auto",
    fps: float | None = None,
    output: str | Path = "crops",
    overwrite: bool = False,
    progress: bool = False,
) -> list[CropDocument]:
    """Crop videos and images to where people look, as `salcli crop` does.

    Args:
        source: A path or glob, or several.
        ratios: Such as `"9:16"`, which is also what is made without ratios and sizes.
        sizes: `(height, width)` of further crops, which are resized to it.
        predictions: Folder or video of stored maps, instead of a model.
        model: A model's name, or the result of `load_model`.
        device: Used only with a model's name.
        motion: Of the window inside a shot: `still`, `pan` (one straight move) or `follow`.
        max_speed: Limit in frame sides per second.
        max_acceleration: Limit in frame sides per second, per second.
        min_share: Shots of which a crop keeps less attention are shown whole, padded.
        padding: `blur` or `black`.
        save: Of `crop`, `preview`, `csv`, `json` and `ffmpeg`.
        key_frames: How many pictures of each clip are saved.
        kind: How to take a folder of frames: `auto`, `clip` or `stills`.
        fps: Frames per second; makes a folder of frames a clip.
        output: Folder for the results.
        overwrite: Whether finished inputs are cropped again.
        progress: Whether to show progress on stderr.

    Returns:
        For each input the shares of attention that are kept, of each shot or still, beside those
        of a crop of the centre, and the names of the files.

    Raises:
        InputError: An input or its maps cannot be read.
        UsageError: A ratio or a number is not valid.
        UnknownName: There is no such format or model.
        OutputError: Results cannot be written.
        WeightsError, PluginError: See `load_model` and `predict`.
    """
    shapes = [*map(shape, ratios), *map(sized, sizes)] or [shape("9:16")]
    limits = Limits(max_speed, max_acceleration)
    job = CropJob(
        map_stream(predictions, model, device=device),
        CropSettings(tuple(shapes), motion, limits, min_share, padding),
        formats=tuple(save),
        key_frames=key_frames,
        kind=kind,
        fps=fps,
        overwrite=overwrite,
    )
    given = [source] if isinstance(source, str | Path) else source
    paths = find_inputs([str(each) for each in given])
    places = manifest.places(paths, Path(output))
    with watch(len(paths), quiet=not progress) as watcher:
        return [
            job.run(path, place, watcher=watcher).document
            for path, place in zip(paths, places, strict=True)
        ]


def map_stream(
    predictions: str | Path | None, model: str | Loaded, *, device: str = "auto"
) -> MapStream:
    """Stored maps if there are some, otherwise those of a model.

    Raises:
        InputError: There are no maps at `predictions`.
        UnknownName, UsageError, WeightsError: See `load_model`.
    """
    if predictions is not None:
        return StoredStream(Path(predictions))
    return ModelMaps(load_model(model, device=device) if isinstance(model, str) else model)
