"""Draws two designs of a shop's page, which the pictures in the README are made of.

The pictures are what these commands write, after this program:

    salcli visualize page.png
    areas="--area headline=48,160,420,140 --area button=48,384,220,62 --area cup=560,110,320,350"
    salcli aoi page.png $areas
    salcli aoi pale.png --against page.png $areas

`serve.jpg` is a browser's view of `salcli serve` with both pages, 1280 x 640 pixels large.
`report.jpg` is a browser's view of `salcli report pale.png --against page.png $areas`.
"""

from PIL import Image, ImageDraw, ImageFont

SIZE = (960, 600)
PAPER, INK, GREY = (250, 248, 244), (38, 40, 46), (128, 130, 136)
TEAL, ORANGE = (44, 122, 128), (233, 104, 40)


def text(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    words: str,
    *,
    size: int,
    ink: tuple[int, int, int] = INK,
    anchor: str = "lt",
) -> None:
    """Words in Pillow's own typeface."""
    pen.text(place, words, font=ImageFont.load_default(size), fill=ink, anchor=anchor)


def cup(pen: ImageDraw.ImageDraw, x: int, y: int) -> None:
    """A cup of tea with steam."""
    pen.ellipse((x - 150, y + 118, x + 150, y + 160), fill=(222, 214, 200))
    pen.ellipse((x + 62, y + 10, x + 150, y + 98), outline=TEAL, width=18)
    pen.rounded_rectangle((x - 104, y - 30, x + 104, y + 140), 54, fill=TEAL)
    pen.ellipse((x - 104, y - 58, x + 104, y + 2), fill=(230, 240, 238))
    pen.ellipse((x - 88, y - 48, x + 88, y - 6), fill=(176, 92, 38))
    for dx in (-40, 0, 40):
        pen.arc((x + dx - 14, y - 130, x + dx + 14, y - 92), 90, 270, fill=GREY, width=5)
        pen.arc((x + dx - 14, y - 168, x + dx + 14, y - 130), -90, 90, fill=GREY, width=5)


def page(*, button: tuple[int, int, int]) -> Image.Image:
    """The page, with a button of a colour."""
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    text(pen, (48, 36), "leaf & water", size=30, ink=TEAL)
    for x, word in ((560, "Teas"), (650, "Pots"), (736, "Journal"), (856, "Cart")):
        text(pen, (x, 42), word, size=20, ink=GREY)
    text(pen, (48, 168), "Tea that waits", size=58)
    text(pen, (48, 236), "for nobody", size=58)
    text(pen, (48, 322), "Picked in spring, at your door by Friday.", size=21, ink=GREY)
    pen.rounded_rectangle((48, 384, 268, 446), 12, fill=button)
    text(pen, (158, 415), "Order now", size=26, ink=(255, 255, 255), anchor="mm")
    cup(pen, 720, 290)
    pen.line((48, 530, 912, 530), fill=(224, 220, 212), width=2)
    text(pen, (48, 552), "Free delivery from 30", size=17, ink=GREY)
    return picture


if __name__ == "__main__":
    page(button=ORANGE).save("page.png")
    page(button=(206, 203, 196)).save("pale.png")
