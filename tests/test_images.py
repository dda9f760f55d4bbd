import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salcli.errors import InputError
from salcli.media import images
from salcli.media.images import Animation, FrameFolder, Stills, kind_of, read

RAMP = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)


def save(path: Path, pixels: np.ndarray = RAMP, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif", "gif", "webp", "jp2", "jpg"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}
    frame = read(save(tmp_path / f"a.{suffix}", **options.get(suffix, {})))
    assert frame.shape == (12, 10, 3)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    if suffix in ("png", "bmp", "ppm", "tif", "webp", "jp2"):
        assert (frame == RAMP).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = RAMP[..., 0]
    upright = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, 2).T,
        8: np.rot90(pixels),
    }[orientation]
    for suffix in ("png", "tif"):
        frame = read(save(tmp_path / f"a.{suffix}", pixels, exif=exif))
        assert frame.shape[:2] == upright.shape
        assert (frame[..., 0] == upright).all()


def test_16_bit_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256], [0x7FFF, 0x8000, 0xFFFF]], dtype=np.uint16)
    for suffix in ("png", "tif"):
        frame = read(save(tmp_path / f"a.{suffix}", values))
        assert frame[..., 0].tolist() == [[0, 0, 1], [127, 128, 255]]
        assert (frame == frame[..., :1]).all()
    big_endian = b"P5 3 2 65535\n" + values.astype(">u2").tobytes()
    (tmp_path / "a.pgm").write_bytes(big_endian)
    assert read(tmp_path / "a.pgm")[..., 0].tolist() == [[0, 0, 1], [127, 128, 255]]
    colour = b"P6 2 1 65535\n" + np.array([0, 0x8000, 0xFFFF] * 2, dtype=">u2").tobytes()
    (tmp_path / "a.ppm").write_bytes(colour)
    assert read(tmp_path / "a.ppm")[0, 0].tolist() == [0, 128, 255]


def test_16_bit_colour_png(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    row = np.array([0, 0x8000, 0xFFFF], dtype=">u2").tobytes()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    content = header + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert read(tmp_path / "a.png")[0, 0].tolist() == [0, 128, 255]


def test_float_images_must_lie_between_0_and_1(tmp_path: Path) -> None:
    frame = read(save(tmp_path / "a.tif", np.array([[0, 0.5, 1]], dtype=np.float32)))
    assert frame[0, :, 0].tolist() == [0, 128, 255]
    with pytest.raises(InputError, match=r"b\.tif' .* must lie in \[0, 1\]"):
        read(save(tmp_path / "b.tif", np.array([[0, 7]], dtype=np.float32)))
    with pytest.raises(InputError, match="must fit into 16 bit"):
        read(save(tmp_path / "c.tif", np.array([[-1, 7]], dtype=np.int32)))


def test_other_modes(tmp_path: Path) -> None:
    grey = read(save(tmp_path / "grey.png", RAMP[..., 0]))
    assert (grey == RAMP[..., :1]).all()
    bits = Image.fromarray(RAMP[..., 0] > 100)
    bits.save(tmp_path / "bits.png")
    assert set(np.unique(read(tmp_path / "bits.png"))) == {0, 255}
    Image.fromarray(RAMP).convert("P").save(tmp_path / "palette.png")
    assert read(tmp_path / "palette.png").shape == RAMP.shape
    Image.new("CMYK", (4, 3), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg")
    red = read(tmp_path / "cmyk.jpg")[0, 0].astype(int)
    assert np.abs(red - (255, 0, 0)).max() <= 3


def test_transparency_lies_on_mid_grey(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (200, 10, 20, 255)
    for suffix in ("png", "webp", "tif"):
        options = {"lossless": True} if suffix == "webp" else {}
        frame = read(save(tmp_path / f"a.{suffix}", pixels, **options))
        assert frame[0, 0].tolist() == [200, 10, 20]
        assert frame[1, 1].tolist() == [128, 128, 128]
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "p.png", transparency=0)
    assert read(tmp_path / "p.png")[:, :, 0].tolist() == [[128, 9], [9, 9]]
    grey_alpha = np.array([[[50, 255], [50, 0]]], dtype=np.uint8)
    assert read(save(tmp_path / "la.png", grey_alpha))[0, :, 0].tolist() == [50, 128]


def test_damaged_images(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "webp"):
        path = save(tmp_path / f"cut.{suffix}", noise)
        path.write_bytes(path.read_bytes()[:-1500])
        with pytest.raises(InputError, match=f"cut.{suffix}"):
            read(path)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    for name in ("empty.png", "text.png"):
        assert kind_of(tmp_path / name) is None
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "missing.png")


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "large.png")
    for limit in (100, 10):  # Pillow warns above the limit, and refuses above twice that
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before = list(warnings.filters)
            with pytest.raises(InputError, match=r"large\.png' has more than"):
                read(path)
            assert list(warnings.filters) == before


def test_stills_leave_out_and_report_what_cannot_be_read(tmp_path: Path) -> None:
    good, other = save(tmp_path / "a.png"), save(tmp_path / "c.png", RAMP[:5])
    (tmp_path / "b.png").write_text("broken")
    stills = Stills([("a", good), ("b", tmp_path / "b.png"), ("c", other)])
    for _ in range(2):
        assert [frame.shape for frame in stills] == [(12, 10, 3), (5, 10, 3)]
        assert stills.labels == ["a", "c"]
        assert len(stills.problems) == 1
        assert "b.png" in stills.problems[0]
    assert stills.__length_hint__() == 3


def test_labels_grow_with_the_frames(tmp_path: Path) -> None:
    stills = Stills([(name, save(tmp_path / f"{name}.png")) for name in "abcdefghij"])
    for index, _ in enumerate(stills):
        assert stills.labels[index] == "abcdefghij"[index]


@pytest.mark.parametrize(("side", "most"), [(500, 1 + 2), (20, 1 + 4)])
def test_few_large_pictures_wait_for_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, most: int
) -> None:
    monkeypatch.setattr(images, "AHEAD_BYTES", 2**20)
    file = save(tmp_path / "a.png", np.zeros((side, side, 3), np.uint8))
    stills = Stills([(name, file) for name in "abcdefghij"])

    frames = iter(stills)
    next(frames)
    late = time.monotonic() + 20
    while len(stills.labels) < most and time.monotonic() < late:
        time.sleep(0.02)
    time.sleep(0.1)

    assert len(stills.labels) == most
    assert len(list(frames)) == 9


def test_clip_folder_wants_one_size(tmp_path: Path) -> None:
    files = [save(tmp_path / "1.png"), save(tmp_path / "2.png", RAMP[:5])]
    frames = iter(FrameFolder(files))
    next(frames)
    with pytest.raises(InputError, match=r"2\.png' is 10x5, but .* 10x12"):
        next(frames)


def pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 256, (9, 8, 3), np.uint8)) for _ in range(count)]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    first, *rest = frames = pictures(4)
    path = tmp_path / f"a.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    durations = [100, 50, 200, 50]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, **lossless)
    assert kind_of(path) == "animation"
    animation = Animation(path)
    assert animation.fps == pytest.approx(10)
    assert (animation.size, animation.count) == ((9, 8), 4)
    for _ in range(2):
        decoded = list(animation)
        assert animation.times == pytest.approx([0, 0.1, 0.15, 0.35])
        assert len(decoded) == 4
        if suffix != "gif":
            assert all((a == np.asarray(b)).all() for a, b in zip(decoded, frames, strict=True))


def test_a_large_animation_is_not_decoded_to_its_end_to_learn_its_rate(tmp_path: Path) -> None:
    side = 2048  # six such frames exceed the limit
    first, *rest = (Image.new("P", (side, side), level) for level in range(9))
    path = tmp_path / "large.gif"
    durations = [100] * 6 + [20] * 3
    first.save(path, save_all=True, append_images=rest, duration=durations, optimize=False)
    animation = Animation(path)
    assert (animation.fps, animation.count, animation.size) == (10, None, (side, side))


@pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory the way Linux gives it")
def test_a_large_picture_is_not_copied_more_than_once(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (3000, 3000), (10, 200, 30)).save(path, compress_level=1)
    script = (
        "import re, sys, pathlib; from salcli.media import images; "
        "status = pathlib.Path('/proc/self/status'); "  # getrusage counts the parent's memory, too
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1]); "
        "before = peak(); frame = images.read(pathlib.Path(sys.argv[1])); "
        "print((peak() - before) * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=True)
    assert int(done.stdout) < 3 * 3 * 3000 * 3000  # Pillow's own takes 4 bytes per pixel


def test_animation_without_durations_is_shown_as_browsers_do(tmp_path: Path) -> None:
    first, *rest = pictures(3)
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest)
    assert Animation(tmp_path / "a.gif").fps == pytest.approx(10)


def test_default_picture_of_an_apng_is_no_frame(tmp_path: Path) -> None:
    first, *rest = pictures(3)
    path = tmp_path / "a.png"
    first.save(path, save_all=True, append_images=rest, duration=40, default_image=True)
    animation = Animation(path)
    assert animation.count == 2
    assert (next(iter(animation)) == np.asarray(rest[0])).all()


def test_damaged_animation_gives_what_decodes(tmp_path: Path) -> None:
    first, *rest = pictures(6)
    path = tmp_path / "a.png"
    first.save(path, save_all=True, append_images=rest, duration=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    animation = Animation(path)
    assert animation.count is None
    assert animation.fps == pytest.approx(25)
    decoded: list[np.ndarray] = []
    with pytest.raises(InputError, match=r"a\.png"):
        decoded.extend(animation)
    assert 1 <= len(decoded) < 6


def test_pages_are_no_animation(tmp_path: Path) -> None:
    first, *rest = pictures(3)
    first.save(tmp_path / "pages.tif", save_all=True, append_images=rest)
    assert kind_of(tmp_path / "pages.tif") == "still"
    assert (read(tmp_path / "pages.tif") == np.asarray(first)).all()
