"""Areas that nobody drew, on pictures whose texts and regions are known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from salcli.areas import auto

PAPER = (250, 248, 244)
LINES = {"headline": (40, 60, 44), "second": (40, 112, 44), "small": (420, 330, 18)}


def page(*, ground: np.ndarray | None = None) -> np.ndarray:
    """A design with a headline of two lines, a small line, and a disc."""
    picture = Image.new("RGB", (640, 400), PAPER) if ground is None else Image.fromarray(ground)
    pen = ImageDraw.Draw(picture)
    for (x, y, size), words in zip(
        LINES.values(), ("Tea that", "waits", "Order it now"), strict=True
    ):
        pen.text((x, y), words, font=ImageFont.load_default(size), fill=(30, 30, 36))
    pen.ellipse((380, 60, 560, 240), fill=(44, 122, 128))
    return np.asarray(picture)


def boxes(found: dict[str, tuple[str, ...]]) -> dict[str, list[float]]:
    """In pixels of the page."""
    sides = (640, 400, 640, 400)
    return {
        name: [float(text.rstrip("%")) * side / 100 for text, side in zip(box, sides, strict=True)]
        for name, box in found.items()
    }


def test_blocks_of_text_are_found_and_nothing_else() -> None:
    found = boxes(auto.find(page(), np.zeros((400, 640), np.float32), ["texts"]))
    assert list(found) == ["text 1", "text 2"]
    headline, small = found.values()
    assert headline[0] == pytest.approx(40, abs=8)
    assert headline[1] == pytest.approx(66, abs=12)
    assert headline[3] == pytest.approx(90, abs=20)  # both lines are one block
    assert small[:2] == pytest.approx([420, 334], abs=8)


def test_texture_is_no_text() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 640, 3), np.uint8)
    for ground in (noise, np.asarray(Image.fromarray(noise).resize((80, 50)).resize((640, 400)))):
        assert auto.find(ground, np.zeros((400, 640), np.float32), ["texts"]) == {}


def test_regions_hold_half_of_attention_and_the_grid_covers_all() -> None:
    saliency = np.zeros((400, 640), np.float32)
    saliency[40:80, 60:120] = 1.0
    saliency[200:240, 300:320] = 0.9
    found = boxes(auto.find(page(), saliency, ["grid", "regions"]))
    assert found["region 1"] == pytest.approx([60, 40, 60, 40], abs=0.1)
    grid = [box for name, box in found.items() if not name.startswith("region")]
    assert len(grid) == 9
    assert sum(width * height for _, _, width, height in grid) == pytest.approx(256000, rel=1e-3)
    assert found["top left"][:2] == [0, 0]
    assert auto.find(page(), np.ones((400, 640), np.float32), ["regions"]) == {}


def test_the_tiniest_picture_has_no_areas() -> None:
    assert auto.find(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.float32)) == {}
