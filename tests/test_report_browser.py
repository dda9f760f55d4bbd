"""The page of `salcli report` in a real browser: it opens from disk, moves, and asks nobody."""

import base64
import json
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

import salcli as library
from salcli.encoding.document import BitMap
from salcli.models.loading import load_model
from salcli.report import records
from salcli.report.entries import EntryMaker
from salcli.report.page import Cover, write
from salcli.report.records import Record, read_record
from salcli.report.tiles import data_url
from salcli.terminal.progress import Silence

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="needs the programs chromium and chromedriver"
)

QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1000,2000",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, clip_file: Path) -> Path:
    """A report on a clip and a still, by two models."""
    folder = tmp_path_factory.mktemp("report")
    still = folder / "<!--<script>still.png"  # a name that could break the page
    Image.fromarray(np.full((60, 90, 3), 90, np.uint8)).save(still)
    command = [sys.executable, "-m", "salcli", "report", clip_file, still, "--offline", "-q"]
    models = ["-m", "centre", "-m", "spectral-residual"]
    subprocess.run([*command, *models, "-o", "page.html"], cwd=folder, check=True)
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    profile = tmp_path_factory.mktemp("browser")
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (*QUIET, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Chrome, page: Path) -> Iterator[Chrome]:
    browser.get_log("performance")
    browser.get(page.as_uri())
    WebDriverWait(browser, 20).until(
        lambda _: browser.execute_script(
            "return document.querySelector('video').readyState >= 2 && "
            "[...document.querySelectorAll('figure canvas')].every(each => each.width < 300)"
        )
    )
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def figure(browser: Chrome, kind: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, f"article.{kind} figure")


def pixels(element: WebElement) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(element.screenshot_as_png)).convert("RGB")).astype(int)


def push(browser: Chrome, slider: str, value: int) -> None:
    script = "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
    browser.execute_script(f"{script} s.dispatchEvent(new Event('input'))", slider, value)


def until(browser: Chrome, condition: Callable[[], bool]) -> None:
    WebDriverWait(browser, 10, poll_frequency=0.1).until(lambda _: condition())


def now(browser: Chrome) -> float:
    return float(browser.execute_script("return document.querySelector('video').currentTime"))


def test_sliders_and_models_change_what_is_seen(opened: Chrome) -> None:
    still = figure(opened, "still")
    covered = pixels(still)
    push(opened, "opacity", 0)
    bare = pixels(still)
    middle = bare.shape[0] // 2, bare.shape[1] // 2
    assert np.abs(covered - bare)[middle].max() > 50
    assert np.abs(bare - 90).max() <= 2  # the picture itself

    push(opened, "opacity", 75)
    push(opened, "wipe", 40)
    wiped = np.abs(pixels(still) - bare).max(axis=2)
    border = int(0.4 * wiped.shape[1])
    assert wiped[:, : border - 2].max() > 50
    assert wiped[:, border + 2 :].max() <= 2

    push(opened, "wipe", 100)
    Select(opened.find_element(By.ID, "model")).select_by_value("spectral-residual")
    assert np.abs(pixels(still) - covered).max() > 50


def test_the_timeline_seeks_and_the_overlay_follows(opened: Chrome) -> None:
    Select(opened.find_element(By.ID, "model")).select_by_value("spectral-residual")
    chart = opened.find_element(By.CSS_SELECTOR, ".timeline")
    maps = "return document.querySelector('article.clip canvas').toDataURL()"
    seen = []
    for share in (0.1, 0.5, 0.9):
        offset = int((share - 0.5) * chart.size["width"])
        ActionChains(opened).move_to_element_with_offset(chart, offset, 0).click().perform()
        until(opened, lambda goal=share * 1.5: abs(now(opened) - goal) < 0.02)
        until(opened, lambda: opened.execute_script(maps) not in seen)
        seen.append(opened.execute_script(maps))
        assert float(chart.get_attribute("aria-valuenow") or -1) == pytest.approx(
            share * 1.5, abs=0.02
        )


def test_keys_do_what_the_page_says(opened: Chrome) -> None:
    def state(name: str) -> str:
        return str(opened.execute_script(f"return document.getElementById('{name}').value"))

    body = opened.find_element(By.TAG_NAME, "body")
    body.send_keys("m")
    assert state("model") == "spectral-residual"
    body.send_keys("m", "[", "[", ",")
    assert (state("model"), state("opacity"), state("wipe")) == ("centre", "65", "95")
    chart = opened.find_element(By.CSS_SELECTOR, ".timeline")
    for key, goal in ((Keys.ARROW_RIGHT, 1.0), (Keys.ARROW_LEFT, 0.0), (Keys.END, 1.5)):
        chart.send_keys(key)
        until(opened, lambda goal=goal: abs(now(opened) - goal) < 0.02)


def test_nobody_is_asked_and_nothing_goes_wrong(opened: Chrome, page: Path) -> None:
    time.sleep(0.5)
    assert opened.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in asked
    inside = ("data:", "blob:", "chrome:", "chrome-untrusted:")  # and the browser's start page
    assert [url for url in asked if not url.startswith(inside)] == [page.as_uri()]


@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_a_phone_and_a_wide_screen(width: int, opened: Chrome) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    found: dict[str, Any] = opened.execute_script(
        "return {inner: innerWidth, page: document.scrollingElement.scrollWidth,"
        " figure: document.querySelector('figure').clientWidth}"
    )
    assert found["page"] <= found["inner"] == width
    assert found["figure"] > 0.5 * min(width, 960)


def test_models_side_by_side_and_a_zoom(opened: Chrome) -> None:
    Select(opened.find_element(By.ID, "model")).select_by_value("side by side")
    panels = opened.find_elements(By.CSS_SELECTOR, "article.still figure")
    assert [panel.text.split("\n")[0] for panel in panels] == ["centre", "spectral-residual"]
    assert np.abs(pixels(panels[0])[40:] - pixels(panels[1])[40:]).max() > 50
    panels[1].find_element(By.CSS_SELECTOR, ".zoom").send_keys(Keys.ENTER)
    large = opened.find_element(By.CSS_SELECTOR, "dialog[open] .stage")
    until(
        opened,
        lambda: opened.execute_script(
            "return arguments[0].querySelector('canvas').width < 300", large
        ),
    )
    assert large.size["width"] > 1.5 * panels[1].size["width"]
    ActionChains(opened).send_keys(Keys.ESCAPE).perform()
    until(opened, lambda: not opened.find_elements(By.CSS_SELECTOR, "dialog[open]"))


def drawn(document: bytes) -> dict[tuple[int, ...], set[int]]:
    """On how many pages of a PDF pictures of a size in pixels are drawn."""
    sizes, pages = {}, Counter()
    for match in re.finditer(
        rb"(\d+) 0 obj\s*<<((?:(?!endobj).)*?)>>\s*stream\r?\n", document, re.DOTALL
    ):
        body = document[match.end() : document.index(b"endstream", match.end())]
        if b"/Subtype /Image" in match[2]:
            sides = [re.search(rb"/%s (\d+)" % side, match[2]) for side in (b"Width", b"Height")]
            sizes[match[1]] = tuple(int(side[1]) for side in sides if side)
        elif b"FlateDecode" in match[2]:
            pages.update(set(re.findall(rb"/X(\d+) Do", zlib.decompress(body))))
    found: dict[tuple[int, ...], set[int]] = {}
    for key in pages.keys() & sizes.keys():
        found.setdefault(sizes[key], set()).add(pages[key])
    return found


def test_it_prints_without_cutting_a_picture(browser: Chrome, tmp_path: Path) -> None:
    """A picture that is cut is drawn on two pages."""
    sizes = [(90 + number, 290 if number % 3 else 70) for number in range(9)]  # tall and wide
    for number, size in enumerate(sizes):
        Image.effect_noise(size, 60).save(tmp_path / f"{number}.png")
    models = [load_model("centre", device="cpu")]
    maker = EntryMaker(models, Silence(), areas=(), kind="stills", fps=None)
    entries = [*maker.entries(tmp_path).entries]
    write(tmp_path / "report.html", entries, models, cover=Cover("Printed"))
    browser.get((tmp_path / "report.html").as_uri())
    until(
        browser,
        lambda: browser.execute_script("return 'built' in document.documentElement.dataset"),
    )
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
    printed = browser.execute_cdp_cmd("Page.printToPDF", paper)
    found = drawn(base64.b64decode(printed["data"]))
    assert {size: found.get(size) for size in sizes} == {size: {1} for size in sizes}


def test_it_is_dark_where_the_reader_likes_it_dark(opened: Chrome) -> None:
    def brightness(scheme: str) -> float:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        return float(pixels(opened.find_element(By.TAG_NAME, "footer")).mean())

    assert brightness("light") > 200
    assert brightness("dark") < 60


def test_windows_and_bits_lie_over_their_pictures(browser: Chrome, tmp_path: Path) -> None:
    picture = np.full((60, 120, 3), 90, np.uint8)
    Image.fromarray(picture).save(tmp_path / "still.png")
    library.crop(tmp_path / "still.png", ["1:1"], model="centre", output=tmp_path)
    record = read_record(tmp_path / "still.crop.json")
    bits = records._bits(picture, BitMap(0, 40, ("-9 0 9", "0 0 0")), tmp_path)
    section = f"<section class='record'><div class='stage other'>{bits}</div></section>"
    section = section.replace(
        "<img", f"<img src='{data_url(Image.fromarray(picture), 'png')}'><img"
    )
    shown = [record, Record(section, ())]
    write(tmp_path / "page.html", [], [], cover=Cover("Results"), records=shown)
    browser.get((tmp_path / "page.html").as_uri())
    stage = pixels(browser.find_element(By.CSS_SELECTOR, ".moments .stage"))
    row = stage[stage.shape[0] // 2]
    blue = np.flatnonzero(row[:, 2] - row[:, 0] > 80)
    width = stage.shape[1]
    assert blue.min() == pytest.approx(width / 4, abs=4)  # the window's left and right
    assert blue.max() == pytest.approx(width * 3 / 4, abs=4)
    other = pixels(browser.find_element(By.CSS_SELECTOR, ".other"))
    height, width = other.shape[:2]
    left, middle, right = (other[height // 4, width * part // 6] for part in (1, 3, 5))
    assert left[0] > middle[0] + 50
    assert right[2] > middle[2] + 30
    assert np.abs(other[height - 3, width // 6] - 90).max() <= 2  # below the first row of blocks
    assert not browser.find_element(By.ID, "model").is_displayed()
    assert browser.get_log("browser") == []
