"""All distributions, built and installed as a user would have them, outside the checkout."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from uv import find_uv_bin

CHECKOUT = Path(__file__).parents[1]
PLUGINS = {
    project.parent.name: project.parent
    for folder in ("plugins", "examples")
    for project in CHECKOUT.glob(f"{folder}/*/pyproject.toml")
}
PROJECTS = {"salcli": CHECKOUT, **PLUGINS}
OPEN_WEIGHTS = "salcli_unisal/weights/unisal-open.safetensors"


@dataclass(frozen=True)
class Built:
    """What was built of one project.

    Attributes:
        sdist: The source distribution.
        wheel: The wheel that was built from the source distribution.
        direct: The wheel that was built from the checkout.
    """

    sdist: Path
    wheel: Path
    direct: Path

    @property
    def metadata(self) -> Message:
        with ZipFile(self.wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            return Parser().parsestr(archive.read(name).decode())


def uv(*arguments: str | Path) -> None:
    """Run uv without a network, with this environment's own build backend."""
    ran = subprocess.run(
        [find_uv_bin(), *arguments, "--offline", "--python", sys.executable],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    done = {}
    for name, project in PROJECTS.items():
        two, one = (tmp_path_factory.mktemp(f"{name}-{way}") for way in ("two-steps", "one-step"))
        uv("build", "--no-build-isolation", "--out-dir", two, project)
        uv("build", "--no-build-isolation", "--wheel", "--out-dir", one, project)
        done[name] = Built(only(two, "*.tar.gz"), only(two, "*.whl"), only(one, "*.whl"))
    return done


@pytest.fixture(scope="module")
def installed(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all wheels and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    wheels = [files.wheel for files in built.values()]
    uv("pip", "install", "--no-deps", "--no-index", "--target", target, *wheels)
    return target


def names(archive: Path) -> set[str]:
    """The files in a wheel or, below its top folder, in a source distribution."""
    if archive.suffix == ".whl":
        with ZipFile(archive) as wheel:
            return {name for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(archive) as sdist:
        return {member.name.partition("/")[2] for member in sdist if member.isfile()}


def tracked(folder: Path) -> set[str]:
    """The package's files as git knows them, relative to the project; caches are not among them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder.name],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(listed.stdout.splitlines())


@pytest.mark.parametrize("name", PROJECTS)
def test_wheel_holds_the_whole_package_and_nothing_else(name: str, built: dict[str, Built]) -> None:
    package = name.replace("-", "_")
    inside = names(built[name].wheel)
    code = {file for file in inside if ".dist-info/" not in file}
    assert code == tracked(PROJECTS[name] / package)
    assert f"{package}/py.typed" in code


def test_weights_that_ship_are_in_the_plugins_wheel(built: dict[str, Built]) -> None:
    assert OPEN_WEIGHTS in names(built["salcli-unisal"].wheel)
    assert OPEN_WEIGHTS in names(built["salcli-unisal"].sdist)


@pytest.mark.parametrize(
    ("name", "licences"),
    [
        ("salcli", ["LICENSE"]),
        ("salcli-unisal", ["LICENSE", "NOTICE", "licences/Apache-2.0.txt"]),
    ],
)
def test_licences_travel_with_every_copy(
    name: str, licences: list[str], built: dict[str, Built]
) -> None:
    files = built[name]
    for licence in licences:
        assert any(n.endswith(f".dist-info/licenses/{licence}") for n in names(files.wheel))
        assert licence in names(files.sdist)
    assert files.metadata.get_all("License-File") == licences


@pytest.mark.parametrize("name", PROJECTS)
def test_sdist_has_no_tests_and_no_stray_folders(name: str, built: dict[str, Built]) -> None:
    top = {file.partition("/")[0] for file in names(built[name].sdist)}
    package = name.replace("-", "_")
    allowed = {package, "docs", "licences", "CHANGELOG.md", "CITATION.cff", "LICENSE", "NOTICE"}
    assert top <= allowed | {"README.md", "PKG-INFO", "pyproject.toml", ".gitignore"}
    assert package in top


@pytest.mark.parametrize("name", PROJECTS)
def test_wheel_is_the_same_from_the_sdist_and_from_the_checkout(
    name: str, built: dict[str, Built]
) -> None:
    with ZipFile(built[name].wheel) as two_steps, ZipFile(built[name].direct) as one_step:
        assert sorted(two_steps.namelist()) == sorted(one_step.namelist())
        for file in two_steps.namelist():
            assert two_steps.read(file) == one_step.read(file), file


@pytest.mark.parametrize("name", PROJECTS)
def test_metadata_says_version_and_python(name: str, built: dict[str, Built]) -> None:
    module = importlib.import_module(name.replace("-", "_"))
    metadata = built[name].metadata
    assert metadata["Name"] == name
    assert metadata["Version"] == module.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"


@pytest.mark.parametrize("name", PLUGINS)
def test_plugin_says_which_cores_it_works_with(name: str, built: dict[str, Built]) -> None:
    assert "salcli<0.2,>=0.1" in built[name].metadata.get_all("Requires-Dist", [])


@pytest.mark.parametrize("name", PROJECTS)
def test_version_stands_in_one_place(name: str) -> None:
    project = tomllib.loads((PROJECTS[name] / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]


def imported(file: Path) -> Iterator[str]:
    """Top-level names of everything that a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("name", PROJECTS)
def test_dependencies_are_what_the_code_imports(name: str) -> None:
    package = name.replace("-", "_")
    files = (PROJECTS[name] / package).rglob("*.py")
    used = {top for file in files for top in imported(file)} - sys.stdlib_module_names - {package}
    owners = packages_distributions()
    project = tomllib.loads((PROJECTS[name] / "pyproject.toml").read_text())["project"]
    found = {owners.get(top, [top])[0].lower() for top in used}
    extras = project.get("optional-dependencies", {})
    needed, more = (
        {re.split(r"[<>=!~ \[]", text)[0] for text in texts}
        for texts in (project["dependencies"], chain.from_iterable(extras.values()))
    )
    assert needed <= found <= needed | more


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["models"], "unisal"),
        (["plugins"], "salcli-unisal"),
        (["weights", "verify", "unisal:open"], "unisal"),
    ],
)
def test_installed_copy_runs_outside_the_checkout(
    arguments: list[str], expected: str, installed: Path, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [installed / "bin" / "salcli", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed), "SALCLI_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert expected in ran.stdout


def test_installed_copy_is_what_runs(installed: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import salcli, salcli_unisal as s; print(salcli.__file__, s.__file__)",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(Path(file).is_relative_to(installed) for file in ran.stdout.split())


FIRST_HOUR = (
    "predict photo.jpg",
    "report photo.jpg --output report.html",
    "score mydata",
    "finetune mydata --output runs/mine --epochs 1",
    "predict photo.jpg --model runs/mine -o mine",
)
"""As README and docs/how-to.md have them."""


@pytest.mark.endurance
@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_an_extra_brings_a_model_into_an_environment_of_the_tool(
    tool: str, built: dict[str, Built], tmp_path: Path
) -> None:
    """As `uv tool install "salcli[unisal]"` and `pipx install "salcli[unisal]"`, from wheels."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for files in built.values():
        shutil.copy(files.wheel, wheels)
    wanted = f"salcli[unisal] @ {only(wheels, 'salcli-*.whl').as_uri()}"
    places = {
        **dict.fromkeys(("UV_TOOL_DIR", "PIPX_HOME"), str(tmp_path / "tools")),
        **dict.fromkeys(("UV_TOOL_BIN_DIR", "PIPX_BIN_DIR"), str(tmp_path / "bin")),
        "UV_FIND_LINKS": str(wheels),
        "PIP_FIND_LINKS": str(wheels),
    }
    known = {k: v for k, v in os.environ.items() if not k.startswith(("SALCLI_", "PYTHON"))}
    command = {
        "uv": [find_uv_bin(), "tool", "install", "--python", sys.executable, wanted],
        "pipx": [
            find_uv_bin(),
            "tool",
            "run",
            "pipx",
            "install",
            "--python",
            sys.executable,
            wanted,
        ],
    }
    done = subprocess.run(command[tool], env=known | places, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    own_data(tmp_path)
    for words in FIRST_HOUR:
        run = subprocess.run(
            [tmp_path / "bin" / "salcli", *words.split()],
            cwd=tmp_path,
            env=known | {"SALCLI_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, f"{words}: {run.stderr}"
    assert (tmp_path / "saliency" / "photo.overlay.png").is_file()
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "runs" / "mine" / "best.safetensors").is_file()


def own_data(folder: Path) -> None:
    """`photo.jpg`, and `mydata` with pictures and their fixation density."""
    rng = np.random.default_rng(0)
    Image.new("RGB", (64, 48), "white").save(folder / "photo.jpg")
    for kind, channels in (("images", (3,)), ("maps", ())):
        (folder / "mydata" / kind).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (48, 64, *channels), np.uint8)
            Image.fromarray(pixels).save(folder / "mydata" / kind / f"{number}.png")
