"""A real server on a free port of this machine, with the fake models."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from salcli.serve import run
from salcli.serve.app import make_app
from salcli.serve.limits import ServerLimits
from salcli.serve.orders import WorkerSettings

MODELS = ("brightness", "spectral-residual", "trail", "failing")


@dataclass
class Served:
    """A running server.

    Attributes:
        url: Its address.
        app: Its application.
        spool: Where uploads and results are.
        folder: What is shown at /files/, if anything.
    """

    url: str
    app: Any
    spool: Path
    folder: Path | None

    @property
    def service(self) -> Any:
        return self.app._app.state.service

    def post(self, path: str, content: Any = None, **more: Any) -> requests.Response:
        return requests.post(self.url + path, data=content, timeout=60, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **more)

    def finished(self, content: bytes, **parameters: str) -> dict[str, Any]:
        """The job of a clip, once it is done or has failed."""
        job = self.post("/jobs", content, params=parameters).json()
        while job["status"] in ("waiting", "running"):
            time.sleep(0.1)
            job = self.get(f"/jobs/{job['id']}").json()
        return dict(job)


@contextmanager
def _serving(spool: Path, limits: ServerLimits, **more: Any) -> Iterator[Served]:
    app = make_app(
        WorkerSettings("cpu", limits), **{"models": MODELS, "spool": spool, "token": None, **more}
    )
    listening = run.listen("127.0.0.1", 0)
    server: uvicorn.Server = run.server(app, limits)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Served(
            f"http://127.0.0.1:{listening.getsockname()[1]}", app, spool, more.get("folder")
        )
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="package")
def serving() -> Callable[..., AbstractContextManager[Served]]:
    """Start a server: `serving(spool, limits, ...)`, a context manager."""
    return _serving


@pytest.fixture(scope="session")
def limits() -> ServerLimits:
    """Those of the server of the tests: small, and impatient."""
    return replace(
        ServerLimits(), stall_seconds=0.7, header_seconds=0.7, pixels=4_000_000, clip_seconds=20
    )


@pytest.fixture(scope="package")
def served(
    fakes_of_package: None, limits: ServerLimits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """One server for all of these tests: its model process takes seconds to start."""
    folder = tmp_path_factory.mktemp("results")
    with _serving(tmp_path_factory.mktemp("spool"), limits, folder=folder) as running:
        yield running


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A PNG of 120 x 80, bright in its left third."""
    pixels = np.full((80, 120, 3), 30, np.uint8)
    pixels[:, :40] = 220
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png")
    return content.getvalue()
