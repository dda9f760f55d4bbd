"""The tutorial for authors of plugins is followed word for word."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salcli.testing import check_plugin

CHECKOUT = Path(__file__).parents[1]
STEP = re.compile(
    r"(?:^`(?P<file>[\w./-]+)`:\n\n)?^```\w+ (?P<mark>tutorial|refused)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Stage:
    """The files of the plugin, and what is run then: each command, and whether it succeeds."""

    files: dict[str, str]
    commands: list[tuple[str, bool]] = field(default_factory=list)


def stages() -> list[Stage]:
    found: list[Stage] = []
    files: dict[str, str] = {}
    for step in STEP.finditer((CHECKOUT / "docs" / "tutorial.md").read_text("utf-8")):
        if step["file"]:
            files[step["file"]] = step["text"]
            continue
        if not found or found[-1].files != files:
            found.append(Stage(dict(files)))
        lines = step["text"].splitlines()
        found[-1].commands += [(line, step["mark"] == "tutorial") for line in lines]
    return found


STAGES = stages()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the picture and the data that the tutorial names."""
    random = np.random.default_rng(0)
    for number in range(10):
        for folder in ("images", "maps"):
            file = tmp_path / "mydata" / folder / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(random.integers(0, 255, (6, 8, 3), np.uint8))
            picture.resize((64, 48)).convert("RGB" if folder == "images" else "L").save(file)
    picture.resize((160, 120)).save(tmp_path / "photo.jpg")
    return tmp_path


def write(stage: Stage, folder: Path) -> None:
    for name, text in stage.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def glance(desk: Path, install_plugins: Callable[..., None]) -> Iterator[Callable[[Stage], None]]:
    """Have the plugin of a stage installed."""

    def install(stage: Stage) -> None:
        write(stage, desk)
        project = desk / "salcli-glance"
        described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        metadata = project / "salcli_glance-0.1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: salcli-glance\nVersion: 0.1\n"
        )
        points = described["entry-points"]["salcli"]
        lines = [f"{name} = {module}" for name, module in points.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[salcli]", *lines, ""]))
        install_plugins(project)

    yield install
    for name in [name for name in sys.modules if name.partition(".")[0] == "salcli_glance"]:
        del sys.modules[name]


def test_ten_lines_are_a_model(
    glance: Callable[[Stage], None],
    salcli: Callable[..., subprocess.CompletedProcess[str]],
    desk: Path,
) -> None:
    glance(STAGES[0])

    assert len(STAGES[0].files["salcli-glance/salcli_glance/model.py"].splitlines()) <= 20
    run = salcli("predict", desk / "photo.jpg", "--model", "glance", "-o", desk / "first")
    assert run.returncode == 0, run.stderr
    assert np.asarray(Image.open(desk / "first" / "photo.png")).max() == 255
    refused = salcli("plugins", "check", "glance")
    assert refused.returncode == 4
    assert "it states no licence; set licence= to" in refused.stderr


@pytest.mark.parametrize("stage", STAGES[1:3], ids=["described", "trainable"])
def test_the_plugin_keeps_the_contract(glance: Callable[[Stage], None], stage: Stage) -> None:
    glance(stage)

    check_plugin("glance")


@pytest.mark.endurance
def test_the_tutorial_is_followed_to_the_release(
    desk: Path, fresh_shell: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    run = partial(fresh_shell, SALCLI_PLUGINS="glance")
    for stage in STAGES:
        write(stage, desk)
        for command, succeeds in stage.commands:
            done = run(command)
            assert (done.returncode == 0) is succeeds, f"{command}\n{done.stdout}{done.stderr}"
            assert succeeds or "it states no licence" in done.stderr

    where = run("python -c 'import salcli_glance; print(salcli_glance.__file__)'").stdout
    assert "site-packages" in where
    for folder in ("first", "second", "third", "released"):
        assert (desk / folder / "photo.png").is_file()
