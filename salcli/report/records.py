"""What `salcli crop` and `salcli encode` left beside their results, as a part of a page.

Crop windows and QP offsets are drawn on pictures of the input at some moments.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from PIL import Image

from salcli.areas.pictures import PALETTE
from salcli.cropping.document import CropDocument, CropSummary
from salcli.encoding.document import BitMap, EncodeDocument, Measured
from salcli.errors import InputError
from salcli.files.jsonfile import read_json, shaped
from salcli.media import images
from salcli.media.images import Stills
from salcli.media.open import open_stimulus
from salcli.media.portion import WHOLE, Portion
from salcli.prediction.manifest import fingerprint
from salcli.report.moments import MOST_PICTURES, figure, frames, rgb, section, spread, table
from salcli.report.recordfiles import ENCODE
from salcli.report.summary import strong
from salcli.report.tiles import data_url

if TYPE_CHECKING:
    from salcli.types import Frame, Stimulus

__all__ = ["Record", "read_record"]

MOST_ROWS = 60
"""Parts of crops up to which all are listed."""

FINER, COARSER = (213, 94, 0), (0, 114, 178)
"""Colours of blocks that get more bits, and fewer."""

COVER = 0.7
"""Opacity of the largest offset."""

Box = tuple[str, int, int, int, int]
"""Name of a crop, and what it shows, in pixels."""


@dataclass(frozen=True)
class Record:
    """A part of the page, as HTML; the same in a sentence; why pictures are missing."""

    section: str
    sentences: tuple[str, ...]
    problem: str = ""


class _Codec(TypedDict):
    name: str


class _Settings(TypedDict, total=False):
    """How the input of a record was opened, and by what it was encoded."""

    source: dict[str, Any]
    portion: Portion
    fps: float | None
    codec: _Codec


def read_record(path: Path) -> Record:
    """What a record says, with pictures if its input is still there.

    Raises:
        InputError: It cannot be read, or is damaged.
    """
    if path.name == ENCODE:
        return _encoded(read_json(path, EncodeDocument), path)
    return _cropped(read_json(path, CropDocument), path)


# ---- crops ------------------------------------------------------------------------------------


def _cropped(document: CropDocument, path: Path) -> Record:
    name, settings = Path(document.source).name, _settings(document.settings, path)
    inks = {each.name: PALETTE[n % len(PALETTE)] for n, each in enumerate(document.crops)}
    figures: list[str] = []
    problem = ""
    try:
        stimulus = _opened(document.source, document.kind, settings)
        views = _still_views if document.kind == "stills" else _clip_views
        for frame, boxes, caption in views(stimulus, document.crops):
            overlay = _windows(frame, boxes, inks)
            figures.append(figure(frame, stimulus, overlay, _key(boxes, inks, caption)))
    except InputError as error:
        problem = f"{error}; pictures of its crops are left out"
    said = tuple(
        f"The crop {strong(each.name)} of {strong(name)} keeps {each.share:.2%} of attention; a "
        f"crop of the centre keeps {each.centre_share:.2%}."
        for each in document.crops
    )
    parts = (_crop_table(document.crops), "The dashed window is that of a crop of the centre.")
    return Record(section(f"Crops of {name}", parts, figures), said, problem)


def _crop_table(crops: Sequence[CropSummary]) -> str:
    rows = [["Crop", "Part", "Motion", "Kept", "Crop of the centre"]]
    for each in crops:
        parts = [
            [f"{shot.start:.2f} to {shot.end:.2f} s", shot.motion, shot.share, shot.centre_share]
            for shot in each.shots
        ] + [[still.label, "", still.share, still.centre_share] for still in each.stills]
        whole = [["all", "", each.share, each.centre_share]] if len(parts) != 1 else []
        for part, motion, *shares in [*whole, *parts]:
            rows.append([each.name, str(part), str(motion), *(f"{share:.2%}" for share in shares)])
    return table(rows[: MOST_ROWS + 1], names=3)


View = tuple["Frame", "list[tuple[Box, float]]", str]
"""A frame, what each crop shows of it with the share that is kept, and what it is."""


def _clip_views(stimulus: Stimulus, crops: Sequence[CropSummary]) -> Iterator[View]:
    """Of each shot its middle; if there is room also its ends, where a window moves."""
    boxes: dict[int, list[tuple[Box, float]]] = {}
    middles: set[int] = set()
    for each in crops:
        for shot in each.shots:
            middles.add((shot.first + shot.last) // 2)
            for one in shot.boxes:
                box = (each.name, one.x, one.y, one.width, one.height)
                boxes.setdefault(one.frame, []).append((box, shot.share))
    chosen = sorted(boxes) if len(boxes) <= MOST_PICTURES else spread(sorted(middles))
    for index, frame in frames(stimulus, chosen):
        yield frame, boxes.get(index, []), f"{stimulus.time(index):.2f} s"


def _still_views(stimulus: Stimulus, crops: Sequence[CropSummary]) -> Iterator[View]:
    assert isinstance(stimulus.frames, Stills)
    files = dict(stimulus.frames.files)
    boxes: dict[str, list[tuple[Box, float]]] = {}
    for each in crops:
        for one in each.stills:
            box = (each.name, one.x, one.y, one.width, one.height)
            boxes.setdefault(one.label, []).append((box, one.share))
    for label in spread(list(boxes)):
        file = next(iter(files.values())) if len(files) == 1 else files.get(label)
        if file is not None:
            yield images.read(file), boxes[label], label


def _windows(frame: Frame, boxes: Sequence[tuple[Box, float]], inks: Mapping[str, Any]) -> str:
    """The windows as outlines over a picture."""
    height, width = frame.shape[:2]
    found = []
    for (name, *box), _ in boxes:
        middle = ((width - box[2]) / 2, (height - box[3]) / 2, *box[2:])
        for (x, y, wide, high), dashed in ((middle, " stroke-dasharray='6 5'"), (box, "")):
            found.append(
                f"<rect x='{x}' y='{y}' width='{wide}' height='{high}' stroke='{rgb(inks[name])}'"
                f"{dashed}/>"
            )
    return (
        f"<svg viewBox='0 0 {width} {height}' preserveAspectRatio='none' aria-hidden='true'>"
        f"{''.join(found)}</svg>"
    )


def _key(boxes: Sequence[tuple[Box, float]], inks: Mapping[str, Any], caption: str) -> str:
    kept = (
        f"<i style='background:{rgb(inks[name])}'></i>{html.escape(name)} {share:.1%}"
        for (name, *_), share in boxes
    )
    return " &ensp;".join([html.escape(caption), *kept])


# ---- bits -------------------------------------------------------------------------------------


def _encoded(document: EncodeDocument, path: Path) -> Record:
    name, settings = Path(document.source).name, _settings(document.settings, path)
    figures: list[str] = []
    problem = ""
    try:
        stimulus = _opened(document.source, "clip", settings)
        maps = {each.frame: each for each in document.bits}
        for index, frame in frames(stimulus, sorted(maps)):
            overlay = _bits(frame, maps[index], path)
            figures.append(figure(frame, stimulus, overlay, f"{stimulus.time(index):.2f} s"))
    except InputError as error:
        problem = f"{error}; pictures of its bits are left out"
    told = (
        "Where bits go: orange blocks are encoded finer than in a plain encode, blue ones coarser, "
        "and the more so, the stronger the colour."
    )
    title, said, parts = f"Bits of {name}", [], [told]
    if document.plain is not None and document.regions is not None:
        encoder = settings.get("codec", {"name": "an encoder"})["name"]
        title += f", {encoder}"
        said.append(_gain(name, encoder, document.plain, document.regions))
        parts.insert(0, _measured_table(document.plain, document.regions))
    return Record(section(title, parts, figures), tuple(said), problem)


def _gain(name: str, encoder: str, plain: Measured, regions: Measured) -> str:
    saved = 1 - regions.bytes / max(plain.bytes, 1)
    change = f"{saved:.1%} less" if saved >= 0 else f"{-saved:.1%} more"
    text = (
        f"{strong(name)} with more bits where people look, by {html.escape(encoder)}: "
        f"{regions.bytes / 1000:.1f} kB instead of {plain.bytes / 1000:.1f} kB ({change}), PSNR "
        f"weighted by attention {regions.weighted_psnr:.2f} instead of {plain.weighted_psnr:.2f} "
        f"dB. The parts that get half of the attention have {regions.attended_psnr:.2f} instead "
        f"of {plain.attended_psnr:.2f} dB, the rest {regions.rest_psnr:.2f} instead of "
        f"{plain.rest_psnr:.2f} dB"
    )
    if plain.vmaf is None or regions.vmaf is None:
        return f"{text}."
    return f"{text}; VMAF of whole frames is {regions.vmaf:.1f} instead of {plain.vmaf:.1f}."


def _measured_table(plain: Measured, regions: Measured) -> str:
    rows = [
        ["Encode", "Quality", "kB", "PSNR", "Weighted", "Attended", "Rest", "VMAF", "Weighted VMAF"]
    ]
    for kind, one in (("plain", plain), ("with regions", regions)):
        values = (one.psnr, one.weighted_psnr, one.attended_psnr, one.rest_psnr)
        scores = ("" if v is None else f"{v:.2f}" for v in (*values, one.vmaf, one.weighted_vmaf))
        rows.append([kind, f"{one.quality:g}", f"{one.bytes / 1000:.1f}", *scores])
    return table(rows, names=1)


def _bits(frame: Frame, bits: BitMap, path: Path) -> str:
    """Offsets as colours over a picture."""
    try:
        offsets = np.array([[int(value) for value in row.split()] for row in bits.rows])
        height, width = offsets.shape
    except ValueError as error:
        raise InputError(f"'{path}' is damaged: {error}") from error
    picture = np.zeros((height, width, 4), np.uint8)
    picture[..., :3] = np.where(offsets[..., None] < 0, FINER, COARSER)
    picture[..., 3] = np.abs(offsets) * (255 * COVER / max(1, np.abs(offsets).max()))
    # the last blocks may reach beyond the frame
    wide, high = (
        100 * count * bits.side / side
        for count, side in zip((width, height), frame.shape[1::-1], strict=True)
    )
    return (
        f"<img class='bits' style='width:{wide:.3f}%;height:{high:.3f}%' alt='' "
        f"src='{data_url(Image.fromarray(picture), 'png')}'>"
    )


# ---- both -------------------------------------------------------------------------------------


def _settings(settings: Mapping[str, Any], path: Path) -> _Settings:
    try:
        return shaped(dict(settings), _Settings)
    except ValueError as error:
        raise InputError(f"'{path}' is damaged, or not of salcli: {error}") from error


def _opened(source: str, kind: Literal["clip", "stills"], settings: _Settings) -> Stimulus:
    """The input of a record, as it was opened then."""
    path, portion = Path(source), settings.get("portion", WHOLE)
    stimulus = open_stimulus(path, kind=kind, fps=settings.get("fps"), portion=portion)
    if fingerprint(path) != settings.get("source"):
        raise InputError(f"'{path}' has changed since then")
    return stimulus
