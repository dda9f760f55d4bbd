"""From an uploaded picture to a file with its map."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from salcli.areas import auto, parse
from salcli.areas.measure import Covers, shares
from salcli.maps import to_8bit
from salcli.media import images
from salcli.media.memory import in_memory
from salcli.output import png
from salcli.output.frametable import summary
from salcli.plugins import registry
from salcli.prediction import loop
from salcli.render.styles import Look, MapStyle
from salcli.report.tiles import shrunk
from salcli.serve.limits import Refusal, ServerLimits
from salcli.specs import resolve

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli.models.loading import Loaded
    from salcli.serve.orders import UploadOrder
    from salcli.types import Frame, Result

__all__ = ["check_size", "map_document", "packed", "run"]

MAP_SIDE = 384
"""Longest side of the maps in JSON: they are smooth."""

HIGHEST = 65535
"""What the peak of a packed map becomes."""


def run(order: UploadOrder, loaded: Loaded, limits: ServerLimits) -> Mapping[str, str]:
    """Predict, and write the result as `result` into the order's folder; gives its form.

    Raises:
        InputError: It is not a picture.
        Refusal: It is too large.
        UsageError, UnknownName: Its areas or the style are wrong.
    """
    check_size(images.size_of(order.upload), limits)
    frame = images.read(order.upload)
    stimulus = in_memory(frame, None)
    (result,) = loop.run(loaded.model, stimulus, extras=order.form == "json", notice=lambda _: None)
    order.result.write_bytes(_content(order, frame, result, loaded=loaded))
    return {"form": order.form}


def check_size(size: tuple[int, int], limits: ServerLimits) -> None:
    """Refuse pictures and clips of a size (H, W) that is too large.

    Raises:
        Refusal: It is.
    """
    height, width = size
    if height * width > limits.pixels:
        raise Refusal(
            413, f"{width}x{height} are more than {limits.pixels:,} pixels; shrink it first"
        )


def _content(order: UploadOrder, frame: Frame, result: Result, *, loaded: Loaded) -> bytes:
    match order.form:
        case "json":
            document = _document(order, result, loaded)
            return json.dumps(document, separators=(",", ":")).encode()
        case "png":
            return bytes(png.encode(to_8bit(result.saliency, loaded.model.spec.rounding)))
        case "npy":
            return _npy(result.saliency)
        case "areas":
            return auto.document(auto.find(frame, result.saliency, order.kinds)).encode()
        case name:
            style: type[MapStyle] = resolve(registry.style(name).factory)
            return bytes(png.encode(style(Look(order.alpha)).draw(frame, result.saliency)))


def _npy(saliency: npt.NDArray[np.float32]) -> bytes:
    content = io.BytesIO()
    np.save(content, saliency)
    return content.getvalue()


def _document(order: UploadOrder, result: Result, loaded: Loaded) -> dict[str, Any]:
    """What is known of a picture, with its map and the model's further maps."""
    height, width = result.saliency.shape
    found = summary(result.saliency)
    maps = {"saliency": result.saliency, **result.extras}
    return {
        "model": loaded.label,
        "weights_sha256": loaded.digest,
        "width": width,
        "height": height,
        "peak": None if found is None else {"x": found.peak[0], "y": found.peak[1]},
        "entropy_bits": None if found is None else round(found.entropy, 4),
        "maps": [map_document(name, each) for name, each in maps.items()],
        "areas": _areas(order, result),
    }


def _areas(order: UploadOrder, result: Result) -> list[dict[str, Any]]:
    """What each area gets."""
    if not order.areas_file.exists():
        return []
    size = (result.saliency.shape[0], result.saliency.shape[1])
    covers = Covers(parse.read(order.areas_file)).on(0, "0001", size)
    return [
        {
            "name": name,
            "share": round(share.share, 6),
            "area_share": round(share.area_share, 6),
            "lift": None if share.lift is None else round(share.lift, 4),
            "rank": share.rank,
        }
        for name, share in shares(result.saliency, covers).items()
    ]


def map_document(name: str, saliency: npt.NDArray[np.float32]) -> dict[str, Any]:
    """A map `[H, W]` for JSON, shrunk."""
    small = shrunk(saliency, MAP_SIDE)
    return {
        "name": name,
        "width": small.shape[1],
        "height": small.shape[0],
        "peak": round(float(saliency.max()), 6),
        "data": base64.b64encode(packed(small)).decode(),
    }


def packed(saliency: npt.NDArray[np.float32]) -> bytes:
    """A map as 16-bit numbers, little-endian, row by row; its peak is 65535."""
    peak = saliency.max()
    scaled = saliency / peak if peak > 0 else saliency
    return np.rint(scaled * HIGHEST).astype("<u2").tobytes()
