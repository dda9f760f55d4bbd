"""The page of `salcli report` in a real browser: it opens from disk, moves, and asks nobody."""

import json
import shutil
import subprocess
import sys
import time
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

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="needs the programs chromium and chromedriver"
)

QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1000,1400",
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


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (*QUIET, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Chrome, page: Path) -> Chrome:
    browser.get(page.as_uri())
    WebDriverWait(browser, 20).until(
        lambda _: browser.execute_script(
            "return document.querySelector('video').readyState >= 2 && "
            "[...document.querySelectorAll('figure canvas')].every(each => each.width < 300)"
        )
    )
    return browser


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


def test_it_is_dark_where_the_reader_likes_it_dark(opened: Chrome) -> None:
    def brightness(scheme: str) -> float:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        return float(pixels(opened.find_element(By.TAG_NAME, "footer")).mean())

    assert brightness("light") > 200
    assert brightness("dark") < 60
