"""The weights for designs: where they come from, how they are used, and where they are named."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from salcli_unisal import UNISAL
from salcli_unisal.model import Unisal

from salcli import Stimulus, load_model

Run = Callable[..., subprocess.CompletedProcess[str]]

ASKED: list[str] = []
HEADLINES = "on posters, long texts and web pages it misses headlines; unisal:ads"


class Mirror(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        ASKED.append(self.path)


@pytest.fixture
def mirror(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A mirror on loopback that has the file alone, and an empty cache."""
    folder = tmp_path / "mirror" / "unisal" / "ads"
    folder.mkdir(parents=True)
    shutil.copy(weights, folder / "ads-v1.pth")
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Mirror, directory=str(tmp_path / "mirror"))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SALCLI_WEIGHTS_MIRROR", url)
    monkeypatch.delenv("SALCLI_OFFLINE", raising=False)
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_file_is_fetched_and_every_frame_is_a_still(mirror: str, tmp_path: Path) -> None:
    row = UNISAL.weights_row("ads")
    assert row is not None
    assert row.urls == (
        "https://huggingface.co/pranikz/MediaAttention-Ads/resolve/main/ads-v1.pth",
    )
    ASKED.clear()
    loaded = load_model("unisal:ads", device="cpu")
    assert ASKED == ["/unisal/ads/ads-v1.pth"]
    assert loaded.path is not None
    assert loaded.path.name == "ads-v1.pth"
    assert (loaded.label, loaded.known_limits) == ("unisal:ads", "")
    model = loaded.model
    assert isinstance(model, Unisal)
    assert len(model.network.sources) == 4
    assert model.for_stimulus(Stimulus("c", (), fps=25.0)).options.domain == "SALICON"
    frames = [np.full((32, 48, 3), grey, np.uint8) for grey in (0, 200)]
    with torch.inference_mode():
        clip = [p.saliency for p in model.predict(Stimulus("c", frames, fps=25.0))]
        (alone,) = [p.saliency for p in model.predict(Stimulus("s", frames[1:]))]
    torch.testing.assert_close(clip[1], alone, rtol=0, atol=1e-5)


def test_areas_and_reports_recommend_it_for_screenshots(salcli: Run, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "white").save(tmp_path / "page.png")
    run = salcli("aoi", "page.png", "--area", "top=0,0,100%,50%", "--device", "cpu")
    assert run.returncode == 0, run.stderr
    assert run.stderr.count(f"note: unisal:open knows photographs: {HEADLINES}") == 1
    run = salcli("report", "page.png", "--device", "cpu")
    assert run.returncode == 0, run.stderr
    assert run.stderr.count(f"note: unisal:open knows photographs: {HEADLINES}") == 1
    assert HEADLINES in (tmp_path / "report.html").read_text("utf-8")
    card = " ".join(salcli("models", "unisal").stdout.split())
    assert card.count(f"known limits: knows photographs: {HEADLINES}") == 3
