"""`salcli.encode`: video with more bits where people look, for Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from salcli.cropping.run import map_stream
from salcli.encoding.clip import Match
from salcli.encoding.codecs import codec
from salcli.encoding.document import EncodeDocument
from salcli.encoding.job import EncodeJob
from salcli.media.open import find_inputs
from salcli.models.loading import Loaded
from salcli.plugins import registry
from salcli.prediction import manifest
from salcli.terminal.progress import watch

__all__ = ["encode"]


def encode(
    source: str | Path | Sequence[str | Path],
    encoder: str = "libx264",
    *,
    quality: float | None = None,
    strength: float = 6.0,
    match: Match = "quality",
    vmaf: bool = True,
    save: Sequence[str] = ("video",),
    predictions: str | Path | None = None,
    model: str | Loaded = registry.DEFAULT_MODEL,
    device: str = "auto",
    output: str | Path = "encoded",
    overwrite: bool = False,
    progress: bool = False,
) -> list[EncodeDocument]:
    """Encode videos with more bits where people look, as `salcli encode` does.

    Args:
        source: A path or glob, or several, of video files.
        encoder: `libx264`, `libx265`, `libvpx-vp9` or `libkvazaar`.
        quality: Of the plain encode: CRF, or QP of kvazaar; by default the encoder's.
        strength: Largest change of the quantiser, in QP.
        match: What of a plain encode the result has: `quality` (PSNR weighted by attention),
            `size`, or `none`: it is encoded at the same quality setting.
        vmaf: Whether VMAF is measured, too.
        save: Of `video`, `kvazaar`, `ctu`, `csv`, `npy` and `grey`.
        predictions: Folder or video of stored maps, instead of a model.
        model: A model's name, or the result of `load_model`.
        device: Used only with a model's name.
        output: Folder for the results.
        overwrite: Whether finished inputs are encoded again.
        progress: Whether to show progress on stderr.

    Returns:
        For each input what was measured of it and of a plain encode, and the names of the files.

    Raises:
        InputError: An input or its maps cannot be read.
        UsageError: A number is not valid, or the encoder ignores regions of interest.
        UnknownName: There is no such encoder, format or model.
        OutputError: Results cannot be written.
        WeightsError, PluginError: See `load_model` and `predict`.
    """
    job = EncodeJob(
        map_stream(predictions, model, device=device),
        codec(encoder),
        quality,
        strength,
        match,
        tuple(save),
        vmaf,
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
