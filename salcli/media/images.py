"""Decodes images with Pillow to RGB uint8 `[H, W, 3]`, singly, as stills or as a clip.

Conversions: EXIF orientation is applied; grey is repeated; 16 bit keeps its upper 8; CMYK, palettes
and 1 bit are converted; transparency is composited on mid-grey, where neither dark nor light
content vanishes. Colour profiles are ignored, as the published models ignored them. A file with
several pages (TIFF, MPO) gives its first; only GIF, PNG, WebP and AVIF hold animations.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from salcli.errors import InputError
from salcli.media.portion import WHOLE, Portion
from salcli.stream import prefetch
from salcli.types import Frame

__all__ = [
    "SUFFIXES",
    "Animation",
    "FrameFolder",
    "Stills",
    "ahead",
    "is_animation",
    "kind_of",
    "read",
    "size_of",
    "to_rgb",
]

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("avif", "bmp", "gif", "jfif", "jp2", "jpe", "jpeg", "jpg"),
        *("pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"),
    )
)
"""What counts as an image inside a folder; a file named directly is judged by its content."""

MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
"""Limit for one picture or video frame; larger ones take gigabytes."""

ANIMATED_FORMATS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
ANIMATED_SUFFIXES = frozenset({".gif", ".png", ".webp", ".avif"})
PNG_START = 2**16
"""Bytes in which the chunk `acTL` of an animated PNG is searched: it precedes the picture."""
STILL_FORMATS = frozenset({"JPEG", "MPO", "TIFF", "BMP", "PPM", "JPEG2000"})
MID_GREY = (128, 128, 128, 255)
QUARTER_TURNED = 5
"""EXIF orientations from this one on swap width and height."""

DECODED_AHEAD = 4
"""Limit of images that wait for the network."""
AHEAD_BYTES = 2**27
"""Limit in bytes of waiting frames: five frames of 4K."""

PROBED_BYTES = 2**26
"""Limit in bytes of the frames of an animation that are decoded to learn its rate: 11 of 1080p."""

STRIP_ROWS = 256

UNTIMED_SECONDS = 0.1
"""Duration of an animation frame that states none; browsers use the same."""

WARNING_FILTERS = Lock()
"""Held while the warning filters are changed, since all threads share them."""


def ahead(size: tuple[int, int]) -> int:
    """How many decoded frames of this size `(H, W)` may wait for the network."""
    return max(1, min(DECODED_AHEAD, AHEAD_BYTES // (3 * size[0] * size[1])))


def _weight(frame: Frame) -> int:
    """The bytes that a waiting frame counts: small ones so many that few wait, too."""
    return max(frame.nbytes, AHEAD_BYTES // DECODED_AHEAD)


def kind_of(path: Path) -> Literal["still", "animation"] | None:
    """What Pillow recognises in the file's content; `None` if it is not an image.

    Raises:
        InputError: The file cannot be opened, or is an image that is too large.
    """
    try:
        with _opened(path) as image:
            animated = image.format in ANIMATED_FORMATS and getattr(image, "is_animated", False)
            return "animation" if animated else "still"
    except _NotAnImageError:
        return None


def is_animation(path: Path) -> bool:
    """Whether a file in a folder is an animation, by its suffix and content; tells stills fast."""
    suffix = path.suffix.lower()
    if suffix not in ANIMATED_SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            start = file.read(PNG_START) if suffix == ".png" else b"acTL"
        return b"acTL" in start and kind_of(path) == "animation"
    except (InputError, OSError):
        return False  # reading it as a still will say why


def read(path: Path) -> Frame:
    """Decode one image, upright.

    Raises:
        InputError: The file cannot be read as an image; the message names it and the reason.
    """
    with _opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)  # otherwise it copies upright ones, too
        return to_rgb(image)


def size_of(path: Path) -> tuple[int, int]:
    """`(H, W)` of the picture that `read` returns, from the file's header alone.

    Raises:
        InputError: The file cannot be read as an image.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= QUARTER_TURNED
        return (width, height) if turned else (height, width)


class _NotAnImageError(InputError):
    """Pillow does not recognise the file."""


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; whatever Pillow raises in the block becomes an `InputError`."""
    try:
        # Not by name: Pillow would memory-map the file, which scrambles rotated TIFF files.
        with path.open("rb") as file, _bounded(file) as image:
            yield image
    except UnidentifiedImageError as error:
        raise _NotAnImageError(f"'{path}' is not an image that can be read") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"'{path}' has more than {MOST_PIXELS:,} pixels; shrink it first"
        ) from error
    except Exception as error:  # Pillow raises many types for a damaged file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"'{path}' cannot be read as an image: {reason}") from error


def _bounded(file: BinaryIO) -> Image.Image:
    """Open an image; above 89 megapixels Pillow only warns, which is an error here."""
    with WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.preinit()  # the usual formats; to import those of all forty takes a tenth of a second
        try:
            return Image.open(file, formats=_formats())
        except UnidentifiedImageError:
            if not Image.init():
                raise
        return Image.open(file, formats=_formats())


def _formats() -> list[str]:
    """The formats that are read, of those that Pillow has imported."""
    return sorted((ANIMATED_FORMATS | STILL_FORMATS) & Image.OPEN.keys())


def to_rgb(image: Image.Image) -> Frame:
    """An image of any mode as RGB uint8; transparent parts become mid grey."""
    if image.mode == "F" or image.mode.startswith("I"):
        return np.repeat(_grey_8bit(np.asarray(image))[..., None], 3, axis=2)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, MID_GREY)
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    image = image if image.mode == "RGB" else image.convert("RGB")
    # in strips: Pillow hands out a copy, which for a whole picture would double the memory
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _grey_8bit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """8 bit from 16-bit integers, or from floats in [0, 1]; other ranges have no known white."""
    low, high = values.min(), values.max()
    if np.issubdtype(values.dtype, np.floating):
        if not (low >= 0 and high <= 1):
            raise ValueError(f"float values must lie in [0, 1], these lie in [{low:g}, {high:g}]")
        rounded: npt.NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
        return rounded
    if low < 0 or high > 0xFFFF:
        raise ValueError(f"grey values must fit into 16 bit, these lie in [{low}, {high}]")
    return (values >> 8).astype(np.uint8)


class Stills:
    """Unrelated images; those that cannot be read are skipped and reported.

    Attributes:
        files: Label and path of every image, in order.
        labels: Labels of the images decoded so far.
        problems: One message for each image found unreadable so far.
    """

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        self.files = tuple(files)
        self.labels: list[str] = []
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        """RGB uint8 `[H, W, 3]`, decoded in the background; sizes may differ."""
        return prefetch(self._decode(), AHEAD_BYTES, weigh=_weight)

    def __length_hint__(self) -> int:
        """Number of images, readable or not; for progress only."""
        return len(self.files)

    def _decode(self) -> Iterator[Frame]:
        index = 0
        for label, path in self.files:
            try:
                frame = read(path)
            except InputError as error:
                if str(error) not in self.problems:
                    self.problems.append(str(error))
                continue
            if index == len(self.labels):
                self.labels.append(label)
            index += 1
            yield frame

    def first_size(self) -> tuple[int, int] | None:
        """`(H, W)` of the first readable image; `None` if there is none."""
        for frame in self._decode():
            return frame.shape[0], frame.shape[1]
        return None

    def without(self, done: Callable[[str], bool]) -> Stills:
        """The images whose label is not done; decodes nothing."""
        return Stills([(label, path) for label, path in self.files if not done(label)])


class FrameFolder:
    """The frames of one clip as image files, all of the same size."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)

    def __iter__(self) -> Iterator[Frame]:
        """RGB uint8 `[H, W, 3]`, decoded in the background.

        Raises:
            InputError: A frame cannot be read, or differs in size from the first.
        """
        return self.after(0)

    def after(self, count: int) -> Iterator[Frame]:
        """The frames behind the first `count`, without decoding these.

        Raises:
            InputError: As in iterating.
        """
        return prefetch(self._decode(count), AHEAD_BYTES, weigh=_weight)

    def _decode(self, count: int) -> Iterator[Frame]:
        size = read(self.files[0]).shape if count < len(self.files) and count else None
        for path in self.files[count:]:
            frame = read(path)
            size = size or frame.shape
            if frame.shape != size:
                raise InputError(
                    f"'{path}' is {frame.shape[1]}x{frame.shape[0]}, but the clip's first frame "
                    f"is {size[1]}x{size[0]}; choose stills for unrelated images"
                )
            yield frame


class Animation:
    """The frames of an animated GIF, PNG, WebP or AVIF file.

    Attributes:
        fps: Average frame rate; of a large animation, that of its first frames.
        size: `(H, W)`.
        count: Number of frames; `None` if the file is damaged, or large.
        times: Presentation times in seconds, one for each frame decoded so far.
    """

    def __init__(self, path: Path, portion: Portion = WHOLE) -> None:
        """Decode all frames once, or many if they are large, to learn how long each is shown.

        Raises:
            InputError: Not even the first frame can be decoded.
        """
        self.path, self._portion = path, portion
        self.times: list[float] = []
        self.size = (0, 0)
        self.count: int | None = None
        decoded, end = 0, 0.0
        try:
            for frame, _, end in self._timed():  # noqa: B007 (the last end is the duration)
                self.size, decoded = (frame.shape[0], frame.shape[1]), decoded + 1
                if decoded * frame.nbytes > PROBED_BYTES:
                    break
            else:
                self.count = decoded
        except InputError:
            if not decoded:
                raise
        self.fps = decoded / end / portion.every
        if portion != WHOLE:
            self.count = None

    def __iter__(self) -> Iterator[Frame]:
        """RGB uint8 `[H, W, 3]`, decoded in the background.

        Raises:
            InputError: The file is damaged; raised after the frames that decode.
        """
        return prefetch(self._decode(), ahead(self.size))

    def _decode(self) -> Iterator[Frame]:
        timed = ((frame, start) for frame, start, _ in self._timed())
        index = -1
        for index, (frame, start) in enumerate(self._portion.of(timed)):
            if index == len(self.times):
                self.times.append(start)
            yield frame
        if index < 0:
            raise InputError(f"'{self.path}' has no frames in this span; it is shorter")

    def _timed(self) -> Iterator[tuple[Frame, float, float]]:
        """Each frame with the seconds at which it appears and disappears."""
        start = 0.0
        with _opened(self.path) as image:
            # The picture that an APNG shows in viewers without animation is not part of it.
            first = 1 if getattr(image, "default_image", False) else 0
            for index in range(first, getattr(image, "n_frames", 1)):
                image.seek(index)
                image.load()
                end = start + (image.info.get("duration", 0) / 1000 or UNTIMED_SECONDS)
                yield to_rgb(image), start, end
                start = end
