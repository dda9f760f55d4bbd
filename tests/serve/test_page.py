"""The page of `salcli serve` in a real browser: it draws, measures, plays, and asks nobody else."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import pairwise
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
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
    "--window-size=1300,1000",
)

GIVE = """
const [content, name, type, event] = arguments;
const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
const data = new DataTransfer(), options = {bubbles: true, cancelable: true};
data.items.add(new File([bytes], name, {type}));
const target = document.querySelector(event === "drop" ? ".pane:last-child" : "body");
target.dispatchEvent(event === "drop" ? new DragEvent("drop", {dataTransfer: data, ...options})
  : new ClipboardEvent("paste", {clipboardData: data, ...options}));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    folder = tmp_path_factory.mktemp("browser")
    for argument in (*QUIET, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.downloads = folder  # type: ignore[attr-defined]
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Chrome, served: Any) -> Iterator[Chrome]:
    """The page, just opened; afterwards it must have said no error and asked nobody else."""
    browser.get_log("performance")
    browser.get(served.url)
    until(browser, lambda: script(browser, "'ready' in document.documentElement.dataset"))
    yield browser
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    inside = ("data:", "blob:", "chrome:", "chrome-untrusted:", served.url)
    assert [url for url in asked if not url.startswith(inside)] == []


def script(browser: Chrome, expression: str, *values: Any) -> Any:
    return browser.execute_script(f"return {expression}", *values)


def until(browser: Chrome, condition: Callable[[], Any]) -> None:
    WebDriverWait(browser, 100, poll_frequency=0.1).until(lambda _: condition())


def give(
    browser: Chrome, content: bytes, *, name: str = "a.png", kind: str = "image/png", by: str
) -> None:
    """Drop or paste a file, and wait for its maps."""
    browser.execute_script(GIVE, base64.b64encode(content).decode(), name, kind, by)
    until(browser, lambda: settled(browser))


def settled(browser: Chrome) -> bool:
    return bool(
        script(browser, "document.querySelector('.stage') && !document.querySelector('.busy')")
    )


def drag(browser: Chrome, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place of the first picture to another, in fractions of it."""
    layer = browser.find_element(By.CSS_SELECTOR, ".layer")
    width, height = layer.size["width"], layer.size["height"]
    places = [(round((x - 0.5) * width), round((y - 0.5) * height)) for x, y in (start, end)]
    actions = ActionChains(browser, duration=20)
    actions.move_to_element_with_offset(layer, *places[0]).click_and_hold()
    actions.move_to_element_with_offset(layer, *places[1]).release().perform()


def cells(browser: Chrome) -> list[list[str]]:
    """Name and numbers of each area."""
    rows = "[...document.querySelectorAll('#areas tbody tr')]"
    each = (
        "[row.querySelector('input').value, ...[...row.cells].slice(1, -1).map(c => c.innerText)]"
    )
    return list(script(browser, f"{rows}.map(row => {each})"))


def pixels(element: WebElement) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(element.screenshot_as_png)).convert("RGB")).astype(int)


def stage(browser: Chrome) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, ".stage")


def press(browser: Chrome, *keys: str) -> None:
    browser.switch_to.active_element.send_keys(*keys)


def saved(browser: Chrome) -> list[dict[str, Any]]:
    """The areas that were saved."""
    file: Path = browser.downloads / "areas.json"  # type: ignore[attr-defined]
    until(browser, file.exists)
    text = file.read_text()
    file.unlink()
    return list(json.loads(text)["areas"])


def test_an_area_is_drawn_moved_sized_named_and_deleted(
    page: Chrome, served: Any, picture: bytes
) -> None:
    give(page, picture, by="drop")
    drag(page, (0.25, 0.25), (0.75, 0.75))
    (area,) = cells(page)
    assert area[0] == "area 1"
    drag(page, (0.5, 0.5), (0.3, 0.5))  # moves it to the left
    moved = cells(page)[0]
    assert float(moved[1].rstrip("%")) > float(area[1].rstrip("%"))
    drag(page, (0.55, 0.75), (0.8, 0.9))  # its corner
    name = page.find_element(By.CSS_SELECTOR, "#areas tbody input")
    name.clear()
    name.send_keys("button", Keys.ENTER)
    page.find_element(By.ID, "save-areas").click()
    (entry,) = saved(page)
    assert entry["name"] == "button"
    sides = [float(side.rstrip("%")) for side in entry["box"]]
    assert sides == pytest.approx([5, 25, 75, 65], abs=1.0)
    form = {"areas": json.dumps({"areas": [entry]})}
    measured = served.post("/predict", form, files={"file": picture}).json()["areas"][0]
    shown = cells(page)[0]
    assert float(shown[1].rstrip("%")) == pytest.approx(100 * measured["share"], abs=0.1)
    assert float(shown[2].rstrip("x")) == pytest.approx(measured["lift"], abs=0.051)
    assert "button gets" in page.find_element(By.ID, "answer").text
    page.find_element(By.CSS_SELECTOR, ".area").send_keys(Keys.DELETE)
    assert cells(page) == []


def test_styles_opacity_models_and_moments_change_what_is_seen(
    page: Chrome, picture: bytes
) -> None:
    body, model = page.find_element(By.TAG_NAME, "body"), page.find_element(By.ID, "model")
    body.send_keys("mmmm")  # past the last
    assert Select(model).first_selected_option.text == "brightness"
    give(page, picture, by="paste")
    seen = [pixels(stage(page))]
    for key in ("2", "3", "m", "1"):
        body.send_keys(key)
        until(page, lambda: settled(page))
        seen.append(pixels(stage(page)))
    for before, after in pairwise(seen):
        assert np.abs(before - after).max() > 30
    assert Select(model).first_selected_option.text == "spectral-residual"
    assert not page.find_element(By.ID, "moments").is_displayed()
    body.send_keys("m")
    until(page, lambda: "takes clips only" in page.find_element(By.ID, "panes").text)
    Select(model).select_by_visible_text("brightness")
    until(page, lambda: settled(page))
    assert page.find_element(By.ID, "moments").is_displayed()  # this one has a further map
    body.send_keys(".")
    assert page.find_element(By.ID, "moment-name").text == "red"
    page.execute_script("opacity.value = 0; opacity.dispatchEvent(new Event('input'))")
    bare = pixels(stage(page))
    assert np.abs(bare[10:-10, : bare.shape[1] // 4] - 220).max() <= 2  # the picture itself


def test_a_picture_that_browsers_do_not_know_is_shown(page: Chrome, picture: bytes) -> None:
    tiff = BytesIO()
    Image.open(BytesIO(picture)).save(tiff, "tiff")
    give(page, tiff.getvalue(), name="a.tiff", kind="image/tiff", by="drop")
    until(page, lambda: script(page, "document.querySelector('.stage img').naturalWidth") == 120)


def test_the_keyboard_is_enough(page: Chrome, picture: bytes) -> None:
    give(page, picture, by="paste")
    press(page, "a")
    press(page, *[Keys.ARROW_LEFT] * 5, *[Keys.ARROW_UP] * 5)
    press(page, Keys.SHIFT + Keys.ARROW_RIGHT)
    press(page, Keys.ENTER)
    press(page, "headline")
    press(page, Keys.ENTER)
    press(page, "s")
    (entry,) = saved(page)
    assert entry["name"] == "headline"
    assert [float(side.rstrip("%")) for side in entry["box"]] == pytest.approx([30, 30, 21, 15])
    press(page, "c")
    assert script(page, "document.querySelectorAll('.pane').length") == 2
    focused = "document.activeElement.type"
    assert script(page, focused) == "file"  # where the other version is chosen
    ActionChains(page).send_keys(Keys.TAB).perform()
    assert script(page, "document.activeElement.closest('aside') !== null")


def test_two_versions_answer_what_gained(page: Chrome, picture: bytes) -> None:
    give(page, picture, by="drop")
    drag(page, (0.02, 0.02), (0.3, 0.9))
    page.find_element(By.ID, "compare").click()
    dark = BytesIO()
    Image.fromarray(255 - np.asarray(Image.open(BytesIO(picture)))).save(dark, "png")
    give(page, dark.getvalue(), name="dark.png", by="drop")
    until(page, lambda: len(cells(page)[0]) == 4 and cells(page)[0][3])
    _, before, after, change = cells(page)[0]
    numbers = [float(text.rstrip("%").replace("\u2212", "-")) for text in (before, after, change)]
    assert numbers[2] == pytest.approx(numbers[1] - numbers[0], abs=0.11)
    assert numbers[2] < -10
    answer = page.find_element(By.ID, "answer").text
    assert answer.startswith(f"area 1 loses: {change} points, from {before} of attention in A")


def test_a_clip_plays_under_its_maps(page: Chrome, clip_file: Path) -> None:
    give(page, clip_file.read_bytes(), name="clip.mp4", kind="video/mp4", by="drop")
    until(page, lambda: page.find_elements(By.CSS_SELECTOR, ".timeline"))
    drag(page, (0.1, 0.1), (0.5, 0.9))
    chart = page.find_element(By.CSS_SELECTOR, ".timeline")
    assert len(chart.find_elements(By.TAG_NAME, "polyline")) == 1
    maps, seen = "document.querySelector('canvas.map').toDataURL()", []
    for key, goal in ((Keys.HOME, 0.0), (Keys.ARROW_RIGHT, 1.0), (Keys.END, 1.5)):
        chart.send_keys(key)
        now = "document.querySelector('video').currentTime"
        until(page, lambda now=now, goal=goal: abs(script(page, now) - goal) < 0.03)
        until(page, lambda: script(page, maps) not in seen)
        seen.append(script(page, maps))
    page.find_element(By.TAG_NAME, "body").send_keys(" ")
    until(page, lambda: not script(page, "document.querySelector('video').paused"))


def test_it_fits_a_phone_and_is_dark_where_wished(page: Chrome, picture: bytes) -> None:
    give(page, picture, by="drop")
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert script(page, "document.scrollingElement.scrollWidth") <= 360
        assert script(page, "document.querySelector('.stage').clientWidth") > 300
        for scheme, low, high in (("light", 200, 255), ("dark", 0, 60)):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            assert low < pixels(page.find_element(By.TAG_NAME, "aside")).mean() <= high
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_what_cannot_be_read_is_said(page: Chrome) -> None:
    give(page, b"no picture", by="drop")
    state = page.find_element(By.CSS_SELECTOR, ".state.error").text
    assert "is not an image that can be read" in state
    entries = page.get_log("browser")  # the browser tells the status of each answer itself
    assert all("415" in entry["message"] for entry in entries)


@pytest.mark.endurance
def test_the_camera_gives_a_picture_and_a_clip(page: Chrome) -> None:
    for button, file in (("take", "camera.jpg"), ("record", "camera.webm")):
        page.find_element(By.ID, "camera").click()
        until(page, lambda: script(page, "document.getElementById('shot').open"))
        page.find_element(By.ID, button).click()
        if button == "record":
            until(
                page, lambda: script(page, "document.querySelector('#shot video').currentTime > 2")
            )
            page.find_element(By.ID, button).click()
        until(page, lambda file=file: page.find_elements(By.CSS_SELECTOR, f".name[title='{file}']"))
        until(page, lambda: settled(page))
        assert page.find_elements(By.CSS_SELECTOR, ".state.error") == []
    until(page, lambda: page.find_elements(By.CSS_SELECTOR, ".timeline"))


@pytest.mark.endurance
def test_areas_are_found_and_read_from_a_file(
    page: Chrome, served: Any, picture: bytes, tmp_path: Path
) -> None:
    give(page, picture, by="drop")
    page.find_element(By.ID, "find-areas").click()
    until(page, lambda: [row[0] for row in cells(page)] == ["region 1"])
    file = tmp_path / "areas.json"
    corners = [[0, 0], [60, 0], [0, "100%"]]
    boxes = [{"name": "left", "box": [0, 0, 60, "50%"]}, {"name": "roof", "polygon": corners}]
    file.write_text(json.dumps({"areas": boxes}))
    page.find_element(By.ID, "open-areas").send_keys(str(file))
    until(page, lambda: [row[0] for row in cells(page)] == ["left", "roof"])
    form = {"areas": file.read_text()}
    measured = served.post("/predict", form, files={"file": picture}).json()["areas"]
    shares = [float(row[1].rstrip("%")) for row in cells(page)]
    assert shares == pytest.approx([100 * area["share"] for area in measured], abs=0.1)
