"""What programs get of `salcli serve`, on a real socket, with a real model process."""

import base64
import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import requests
from PIL import Image

import salcli
from salcli.areas.measure import Covers, shares
from salcli.areas.parse import boxes
from salcli.media.open import open_stimulus
from salcli.render import colormaps
from salcli.render.styles import Contour, Look
from salcli.report.tiles import palette


def schema(served: Any, name: str) -> dict[str, Any]:
    document = served.get("/openapi.json").json()
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def follows(served: Any, document: Any, name: str) -> None:
    jsonschema.validate(document, schema(served, name), jsonschema.Draft202012Validator)


def unpacked(entry: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(entry["data"]), "<u2").reshape(
        -1, entry["height"], entry["width"]
    )
    return values / 65535


@pytest.fixture(scope="module")
def left(served: Any, picture: bytes) -> Any:
    """The map of the picture as Python gives it."""
    return salcli.load_model("brightness", device="cpu")(Image.open(io.BytesIO(picture)))


def test_numbers_maps_and_shares_are_those_of_python(
    served: Any, picture: bytes, left: Any
) -> None:
    areas = {"bright": (0, 0, 40, 80), "rest": (40, 0, 80, 80)}
    text = json.dumps({"areas": [{"name": name, "box": box} for name, box in areas.items()]})
    answer = requests.post(
        served.url + "/predict",
        files={"file": ("a.png", picture)},
        data={"areas": text},
        timeout=60,
    )
    found = answer.json()
    assert answer.status_code == 200, found
    follows(served, found, "Picture")
    assert (found["width"], found["height"], found["peak"]) == (120, 80, {"x": 0, "y": 0})
    assert [each["name"] for each in found["maps"]] == ["saliency", "red"]
    np.testing.assert_allclose(
        unpacked(found["maps"][0])[0], left.saliency / left.saliency.max(), atol=1e-5
    )
    expected = shares(left.saliency, Covers(boxes(areas)).on(0, "0001", (80, 120)))
    for row in found["areas"]:
        assert row["share"] == pytest.approx(expected[row["name"]].share, abs=1e-6)
        assert row["rank"] == expected[row["name"]].rank


def test_files_are_those_of_python(served: Any, picture: bytes, left: Any, tmp_path: Path) -> None:
    for form in ("png", "npy"):
        answer = served.post("/predict", picture, params={"format": form})
        assert answer.content == left.save(tmp_path / f"map.{form}").read_bytes()
    drawn = served.post("/predict", picture, params={"format": "contour", "alpha": "0.3"})
    assert drawn.headers["content-type"] == "image/png"
    frame = np.asarray(Image.open(io.BytesIO(picture)))
    expected = Contour(Look(0.3)).draw(frame, left.saliency)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(drawn.content))), expected)


def test_areas_are_found(served: Any, picture: bytes) -> None:
    found = served.post("/areas", picture, params={"kinds": "regions"}).json()
    follows(served, found, "Areas")
    assert found == {"areas": [{"name": "region 1", "box": ["0%", "0%", "33.33%", "100%"]}]}
    assert len(served.post("/areas", picture).json()["areas"]) == 10
    assert served.post("/areas", picture, params={"kinds": "cats"}).status_code == 400


def test_a_clip_is_predicted_in_its_own_time(served: Any, clip_file: Path) -> None:
    job = served.finished(clip_file.read_bytes())
    follows(served, job, "Job")
    assert (job["status"], job["done"], job["frames"]) == ("done", 12, 12)
    found = served.get(f"/jobs/{job['id']}/result").json()
    follows(served, found, "Clip")
    assert found["times"] == [index / 8 for index in range(12)]
    assert (found["frames"], found["duration"], found["width"]) == (12, 1.5, 64)
    maps = unpacked(found["maps"][0])
    results = list(salcli.predict(clip_file, model="brightness", device="cpu"))
    assert len(maps) == len(results)
    for map_, result in zip(maps, results, strict=True):
        np.testing.assert_allclose(map_, result.saliency / result.saliency.max(), atol=1e-5)
    movie = served.spool / "movie.mp4"
    movie.write_bytes(served.get(f"/jobs/{job['id']}/result", params={"format": "mp4"}).content)
    assert len(list(open_stimulus(movie).frames)) == 12
    movie.unlink()
    assert requests.delete(f"{served.url}/jobs/{job['id']}", timeout=60).status_code == 204
    assert served.get(f"/jobs/{job['id']}").status_code == 404


def test_pictures_are_answered_while_a_clip_runs(
    served: Any, picture: bytes, tmp_path: Path
) -> None:
    frames = [Image.effect_noise((320, 240), 90) for _ in range(150)]
    frames[0].save(tmp_path / "long.gif", save_all=True, append_images=frames[1:], duration=40)
    job = served.post(
        "/jobs", (tmp_path / "long.gif").read_bytes(), params={"model": "trail"}
    ).json()
    while served.get(f"/jobs/{job['id']}").json()["status"] == "waiting":
        time.sleep(0.05)
    assert served.post("/predict", picture).status_code == 200
    assert served.get(f"/jobs/{job['id']}").json()["status"] == "running"
    requests.delete(f"{served.url}/jobs/{job['id']}", timeout=60)  # which cancels it
    assert served.finished(picture, model="trail")["status"] == "failed"
    assert list(served.spool.iterdir()) != []  # the failed one can still be asked for
    assert served.get("/health").json()["clips"] == 0


def test_models_and_health_are_as_described(served: Any) -> None:
    models = served.get("/models").json()
    follows(served, models, "Models")
    assert [each["name"] for each in models["models"]][:2] == ["brightness", "spectral-residual"]
    follows(served, served.get("/health").json(), "Health")


def test_the_description_names_every_route_and_none_else(served: Any) -> None:
    paths = served.get("/openapi.json").json()["paths"]
    described = {(path, method.upper()) for path, of in paths.items() for method in of}
    there = {
        (route.path, method)
        for route in served.service.routes()
        for method in getattr(route, "methods", ())
        if method != "HEAD" and route.path not in ("/", "/login", "/openapi.json")
    }
    assert described == there


def test_wrong_parameters_are_named(served: Any, picture: bytes) -> None:
    for parameters in ({"model": "unisal"}, {"format": "gif"}, {"alpha": "2"}, {"alpha": "x"}):
        answer = served.post("/predict", picture, params=parameters)
        assert answer.status_code == 400
        assert next(iter(parameters)) in answer.json()["error"]
    answer = served.post("/predict", picture, params={"model": "trail"})
    assert (answer.status_code, "takes clips only" in answer.json()["error"]) == (415, True)


def test_the_colours_of_the_page_are_those_of_pictures(served: Any) -> None:
    shown = served.get("/static/palette.json").json()
    assert shown == {**palette(), "table": colormaps.table(colormaps.DEFAULT).tolist()}


def test_the_command_says_where_it_serves_and_ends_clean(
    fake_environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "salcli", "serve", "--port", "0", "-m", "centre"],
        env=fake_environment(TMPDIR=str(tmp_path / "tmp")),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", line)
        assert requests.get(address + "health", timeout=20).json()["model_process"] == "unloaded"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "--token is needed"),
        (["--host", "0.0.0.0", "--token", "short"], "at least 12"),
        (["-m", "nothing"], "no model named"),
        (["--host", "192.0.2.1", "--token", "long enough it is"], "cannot serve at"),
    ],
)
def test_unsafe_or_impossible_wishes_are_refused(
    salcli: Any, arguments: list[str], told: str
) -> None:
    run = salcli("serve", "--port", "0", *arguments)
    assert run.returncode == 2
    assert told in run.stderr
