"""`salcli report`: what is in the page, and what happens with bad input."""

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from salcli.report import room, tiles

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two pictures, dark but for one bright spot in each."""
    paths = []
    for name, (x, y) in {"left": (20, 30), "right": (100, 50)}.items():
        picture = np.full((80, 120, 3), 20, np.uint8)
        picture[y - 5 : y + 5, x - 5 : x + 5] = 250
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(picture).save(paths[-1])
    return paths


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def picture_of(url: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(url.partition(",")[2])))


def test_stills_have_a_map_and_numbers_for_each_model(
    salcli: Run, photos: list[Path], tmp_path: Path
) -> None:
    run = salcli("report", *photos, "-m", "brightness", "-m", "centre", "-o", "page.html")
    assert run.returncode == 0, run.stderr
    expected = [f"model {name} on cpu, float32" for name in ("brightness", "centre")]
    assert run.stderr.splitlines()[:3] == ["loading brightness, centre ...", *expected]
    data = data_of(tmp_path / "page.html")
    assert data["models"] == ["brightness", "centre"]
    assert len(data["colours"]) == len(data["cover"]) == 256
    assert [entry["name"] for entry in data["entries"]] == ["left", "right"]
    for entry, (x, y) in zip(data["entries"], [(20, 30), (100, 50)], strict=True):
        assert (entry["width"], entry["height"]) == (120, 80)
        assert picture_of(entry["picture"]).size == (120, 80)
        bright, centre = entry["models"]
        tiles = picture_of(bright["tiles"]["source"])
        assert tiles.size == (bright["tiles"]["width"], bright["tiles"]["height"]) == (120, 80)
        levels = np.asarray(tiles)
        assert levels[y, x] == 255
        assert levels[5, 60] == 0
        column, row = map(int, bright["facts"]["peak"].split(", "))
        assert abs(column - x) <= 5
        assert abs(row - y) <= 5
        assert re.fullmatch(r"\d+\.\d\d bits", bright["facts"]["entropy"])
        assert centre["facts"] != bright["facts"]


def test_a_clip_has_its_movie_maps_and_timeline(
    salcli: Run, clip_file: Path, tmp_path: Path
) -> None:
    run = salcli("report", clip_file, "-m", "brightness", "-m", "centre")
    assert run.returncode == 0, run.stderr
    (entry,) = data_of(tmp_path / "report.html")["entries"]
    assert entry["duration"] == pytest.approx(12 / 8)
    assert entry["times"] == pytest.approx([index / 8 for index in range(12)])
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(base64.b64decode(entry["video"]))
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(movie))
    assert frames == 12
    for model in entry["models"]:
        tiles = model["tiles"]
        assert picture_of(tiles["source"]).size == (12 * tiles["width"], tiles["height"])
        motion, entropy = model["series"].values()
        assert float(model["facts"]["mean entropy, bits"]) == pytest.approx(
            np.mean(entropy), abs=1e-3
        )
        assert len(entropy) == len(motion) == 12
        assert motion[0] is None
    assert all(speed == 0 for speed in entry["models"][1]["series"]["peak motion, widths/s"][1:])


def test_areas_have_their_share_on_stills_and_over_time(
    salcli: Run, photos: list[Path], clip_file: Path, tmp_path: Path
) -> None:
    areas = ["--area", "left=0,0,50%,100%", "--area", "right=50%,0,50%,100%"]
    run = salcli("report", *photos, clip_file, "-m", "brightness", *areas)
    assert run.returncode == 0, run.stderr
    *stills, clip = data_of(tmp_path / "report.html")["entries"]
    for still, preferred in zip(stills, ("left", "right"), strict=True):
        facts = still["models"][0]["facts"]
        shares = {side: facts[f"share of {side}"] for side in ("left", "right")}
        assert max(shares, key=lambda side: float(shares[side].partition("%")[0])) == preferred
        assert re.fullmatch(r"\d+\.\d% \(\d\.\d times its size\)", shares["left"])
    series = clip["models"][0]["series"]
    both = zip(series["share of left"], series["share of right"], strict=True)
    assert all(left + right == pytest.approx(1) for left, right in both)


def test_observers_are_shown_and_models_scored_where_maps_lie_beside(
    salcli: Run, photos: list[Path], tmp_path: Path
) -> None:
    for folder in ("images", "maps"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for index, photo in enumerate(photos):
        photo.rename(tmp_path / "set" / "images" / photo.name)
        if index == 0:
            spot = np.zeros((80, 120), np.uint8)
            spot[25:35, 15:25] = 255
            Image.fromarray(spot).save(tmp_path / "set" / "maps" / photo.name)
    run = salcli("report", "set", "-m", "brightness")
    assert run.returncode == 1  # one map is missing, and reported
    assert "right" in run.stderr
    data = data_of(tmp_path / "report.html")
    assert data["models"] == ["brightness", "ground truth"]
    left, right = data["entries"]
    assert [model["name"] for model in left["models"]] == ["brightness", "ground truth"]
    assert float(left["models"][0]["facts"]["CC"]) > 0.9
    assert [model["name"] for model in right["models"]] == ["brightness"]
    assert "CC" not in right["models"][0]["facts"]


def test_sound_is_kept(salcli: Run, tmp_path: Path) -> None:
    clip = tmp_path / "loud.mp4"
    program = imageio_ffmpeg.get_ffmpeg_exe()
    sources = ["testsrc=size=64x48:rate=8:duration=1", "sine=duration=1"]
    inputs = [word for source in sources for word in ("-f", "lavfi", "-i", source)]
    subprocess.run([program, "-v", "error", *inputs, "-pix_fmt", "yuv420p", clip], check=True)
    assert salcli("report", clip, "-m", "centre").returncode == 0
    (entry,) = data_of(tmp_path / "report.html")["entries"]
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(base64.b64decode(entry["video"]))
    shown = subprocess.run([program, "-i", movie], capture_output=True, text=True, check=False)
    assert "Audio: aac" in shown.stderr


def test_nothing_leads_out_of_the_page_and_equal_input_gives_equal_bytes(
    salcli: Run, photos: list[Path], tmp_path: Path
) -> None:
    pages = []
    photo = photos[0].rename(tmp_path / "<!--<script>.png")  # would hide the end of the data
    for name in ("one.html", "two.html"):
        assert salcli("report", photo, "-m", "brightness", "-o", name).returncode == 0
        pages.append((tmp_path / name).read_text("utf-8"))
    assert pages[0] == pages[1]
    assert "<!--<script>" not in pages[0]
    assert data_of(tmp_path / "one.html")["entries"][0]["name"] == "<!--<script>"
    script = pages[0].rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in pages[0]
    assert "default-src 'none'" in pages[0]
    links = re.findall(r'(?:src|href)="([^"]*)"', pages[0])
    assert links
    assert all(link.startswith("data:") for link in links)


def test_models_are_listed_with_licence_and_citation(
    salcli: Run, photos: list[Path], tmp_path: Path
) -> None:
    title = "</script><b>A & B"
    assert salcli("report", photos[0], "-m", "brightness", "--title", title).returncode == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<title>&lt;/script&gt;&lt;b&gt;A &amp; B</title>" in page
    assert "<td>MIT</td>" in page
    assert "None, yet" in page
    assert "@misc{none}" in page


def test_long_clips_keep_fewer_maps(salcli: Run, tmp_path: Path, monkeypatch: Any) -> None:
    from salcli.report import timeline

    monkeypatch.setattr(timeline, "MOST_MOMENTS", 5)
    clip = tmp_path / "long.mp4"
    program = imageio_ffmpeg.get_ffmpeg_exe()
    source = "testsrc=size=64x48:rate=10:duration=3"
    command = [program, "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", clip]
    subprocess.run(command, check=True)
    assert salcli("report", clip, "-m", "brightness").returncode == 0
    (entry,) = data_of(tmp_path / "report.html")["entries"]
    assert entry["times"] == pytest.approx([0, 0.8, 1.6, 2.4])
    assert all(len(values) == 4 for values in entry["models"][0]["series"].values())
    assert entry["duration"] == pytest.approx(3)


def test_bad_inputs_are_reported_and_the_rest_is_shown(
    salcli: Run, photos: list[Path], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(photos[0].read_bytes()[:60])
    run = salcli("report", "missing.mp4", damaged, photos[1], "-m", "brightness")
    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.startswith("salcli: error: ")]
    assert len(errors) == 2
    assert "'missing.mp4'" in errors[0]
    assert str(damaged) in errors[1]
    assert [entry["name"] for entry in data_of(tmp_path / "report.html")["entries"]] == ["right"]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["missing.mp4"], 1, "'missing.mp4'"),
        (["left.png", "-m", "no-such-model"], 2, "no model named 'no-such-model'"),
        (["left.png", "--as", "film"], 2, "'--as': 'film' is not one of"),
        (["left.png", "--area", "far=500,500,10,10"], 1, "area 'far' covers nothing"),
        (["left.png", "--areas", "left.png"], 2, "left.png"),
        (["left.png", "-o", "left.png/page.html"], 1, "left.png"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_without_anything_to_show_there_is_no_page(
    arguments: list[str], code: int, complaint: str, salcli: Run, tmp_path: Path
) -> None:
    if "-m" not in arguments:
        arguments = [*arguments, "-m", "brightness"]
    run = salcli("report", *arguments)
    assert run.returncode == code, run.stderr
    assert complaint in run.stderr
    assert not list(tmp_path.rglob("*.html"))


def words_of(page: Path) -> str:
    """What stands before the pictures, without tags."""
    head = page.read_text("utf-8").partition('<section id="summary">')[2].partition("</section>")[0]
    return re.sub(r"<[^>]*>", " ", head.replace("</li>", "\n"))


def test_a_client_reads_an_answer_first(salcli: Run, photos: list[Path], tmp_path: Path) -> None:
    Image.new("RGBA", (900, 300), (255, 0, 0, 0)).save(tmp_path / "logo.png")
    area = ("--area", "spot=10,20,20,20", "--area", "<b>rest=60,0,60,80")
    words = ("--title", "Did it gain?", "--client", "Leaf & Water", "--note", "one\ntwo")
    arguments = (*area, *words, "--logo", "logo.png", "-m", "brightness", "-m", "centre")
    run = salcli("report", photos[1], "--against", photos[0], *arguments)
    assert run.returncode == 0, run.stderr
    page = tmp_path / "report.html"
    text = page.read_text("utf-8")
    (entry,) = data_of(page)["entries"]
    before, after = (part["models"][0]["areas"]["spot"][0] for part in (entry["before"], entry))
    assert before > after
    points = f"{100 * (before - after):.1f}"
    said = words_of(page)
    assert f"spot  loses {points} points: it gets {after:.1%} of attention, and got" in said
    assert f"-{points} points" in said  # in the table
    assert "Share by centre" in said
    cover = text.partition('<section id="cover">')[2].partition("</section>")[0]
    assert "<h1>Did it gain?</h1>" in cover
    assert "For Leaf &amp; Water" in cover
    (logo,) = re.findall(r'<img src="([^"]+)"', cover)
    assert picture_of(logo).size == (384, 128)
    assert "<b>rest" not in text
    corners = {area["name"]: area["corners"] for area in entry["areas"]}
    assert corners["<b>rest"] == [[[50, 0], [100, 0], [100, 100], [50, 100]]]


def test_one_picture_is_compared_with_one(salcli: Run, photos: list[Path], clip_file: Path) -> None:
    for inputs, told in (
        ((*photos, "--against", photos[0]), "one input with one"),
        ((clip_file, "--against", photos[0]), "one picture beside one other"),
        ((photos[0], "--against", "nothing.png"), "does not exist"),
        ((photos[0], "--logo", "nothing.png"), "there is no logo"),
    ):
        run = salcli("report", *inputs, "-m", "centre")
        assert run.returncode in (1, 2)
        assert told in run.stderr


def test_pictures_without_areas_are_told_in_words(
    salcli: Run, photos: list[Path], tmp_path: Path
) -> None:
    assert salcli("report", photos[0], "-m", "brightness").returncode == 0
    said = words_of(tmp_path / "report.html")
    assert "On  left , people most likely look at the top left first." in said
    assert "<table>" not in said
    others = []
    for number in range(3):
        others.append(tmp_path / f"photo {number}.png")
        Image.open(photos[1]).save(others[-1])
    areas = ("--area", "spot=90,40,20,20")
    assert salcli("report", photos[0], *others, "-m", "brightness", *areas).returncode == 0
    said = words_of(tmp_path / "report.html")
    assert re.search(r"spot  gets \d+\.\d% of attention on average: from \d+\.\d% on left to", said)


def test_many_stills_are_shrunk_until_they_fit() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)
    url = tiles.data_url(Image.fromarray(noise), "jpeg")
    sheet = tiles.Tiles()
    sheet.add(noise[:200, :300, 0])
    still = {"picture": url, "models": [{"tiles": sheet.document()}]}
    entries = [json.loads(json.dumps(still)) for _ in range(6)]
    entries[0]["before"] = json.loads(json.dumps(still))
    size = len(json.dumps(entries))
    room.fit(entries, size)
    assert len(json.dumps(entries)) == size  # they fit as they are
    room.fit(entries, size // 3)
    assert size // 5 < len(json.dumps(entries)) <= size // 3
    for each in (*entries, entries[0]["before"]):
        width, height = picture_of(each["picture"]).size
        assert width / height == pytest.approx(1.5, abs=0.01)
        shown = each["models"][0]["tiles"]
        assert picture_of(shown["source"]).size == (shown["width"], shown["height"])


@pytest.mark.endurance
def test_several_hundred_photographs_stay_below_thirty_megabytes(
    salcli: Run, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    for number in range(300):
        small = random.integers(0, 255, (120, 160, 3), np.uint8)
        picture = Image.fromarray(small).resize((1280, 960), Image.Resampling.BILINEAR)
        picture.save(tmp_path / f"photo {number}.jpg", quality=90)
    run = salcli("report", *sorted(tmp_path.glob("*.jpg")), "-m", "centre", "-q")
    assert run.returncode == 0
    assert (tmp_path / "report.html").stat().st_size < 30e6


def test_results_of_crop_and_encode_are_shown(
    salcli: Run, photos: list[Path], clip_file: Path, tmp_path: Path
) -> None:
    shapes = ("--ratio", "1:2", "--ratio", "1:1", "-m", "brightness", "-q", "-o", "made")
    assert salcli("crop", clip_file, photos[1], *shapes, "--save", "csv").returncode == 0
    options = ("--match", "none", "--no-vmaf", "-m", "brightness", "-q", "-o", "made")
    assert salcli("encode", clip_file, *options).returncode == 0
    run = salcli("report", "made")
    assert run.returncode == 0, run.stderr
    assert "loading" not in run.stderr  # no model is needed
    page = (tmp_path / "report.html").read_text("utf-8")
    clip, bits, still = re.findall(r"<section class='record'>.*?</section>", page, re.DOTALL)
    found = json.loads((tmp_path / "made" / "right.crop.json").read_text("utf-8"))
    for crop in found["crops"]:
        said = f"<strong>{crop['name']}</strong> of <strong>right.png</strong> keeps "
        assert f"{said}{crop['share']:.2%} of attention; a crop of the centre keeps " in page
        (one,) = crop["stills"]
        window = f"<rect x='{one['x']}' y='0' width='{one['width']}' height='{one['height']}'"
        middle = (120 - one["width"]) / 2
        assert window in still
        assert f"<rect x='{middle}' y='0.0' width='{one['width']}'" in still
        assert f"<td>{one['share']:.2%}</td><td>{one['centre_share']:.2%}</td>" in still
    assert clip.count("<figure>") >= 1
    encoded = json.loads((tmp_path / "made" / clip_file.stem / "encode.json").read_text("utf-8"))
    assert f"{encoded['regions']['bytes'] / 1000:.1f} kB instead of" in page
    (map_,) = encoded["bits"]
    offsets = np.array([row.split() for row in map_["rows"]], int)
    (url,) = re.findall(r"class='bits' style='[^']*' alt='' src='([^']*)'", bits)
    colours = np.asarray(picture_of(url)).astype(int)
    assert colours.shape[:2] == offsets.shape
    assert offsets.min() < 0 < offsets.max()
    assert (colours[offsets < 0][:, 0] > 200).all()  # more bits are orange
    assert (colours[offsets > 0][:, 2] > 170).all()  # fewer are blue
    assert colours[..., 3].argmax() == np.abs(offsets).argmax()


def test_records_that_are_damaged_or_older_than_their_input_are_told(
    salcli: Run, photos: list[Path], tmp_path: Path
) -> None:
    shapes = ("--ratio", "1:1", "-m", "brightness", "-q", "-o", "made")
    assert salcli("crop", *photos, *shapes).returncode == 0
    Image.new("RGB", (120, 80)).save(photos[0])
    record = tmp_path / "made" / "right.crop.json"
    record.write_text(record.read_text("utf-8").replace('"share"', '"chair"'), "utf-8")
    run = salcli("report", "made")
    assert run.returncode == 1
    assert "has changed since then; pictures of its crops are left out" in run.stderr
    assert "right.crop.json' is damaged" in run.stderr
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<h2>Crops of left.png</h2>" in page
    assert "<figure>" not in page
