"""The site of docs/: its navigation has every page, and the made pages have everything."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from salcli import cli
from salcli.plugins import registry
from salcli.plugins.hooks import Hooks

CHECKOUT = Path(__file__).parents[1]
SETTINGS = (CHECKOUT / "mkdocs.yml").read_text("utf-8")


@pytest.fixture(scope="module")
def site() -> ModuleType:
    """The hook of mkdocs that makes pages."""
    spec = importlib.util.spec_from_file_location("made_pages", CHECKOUT / "docs/made_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(site: ModuleType) -> dict[str, str]:
    """Text of the made pages by their paths."""
    return {path: text for pages in site.pages().values() for path, text in pages.items()}


def test_navigation_names_every_written_page_once(made: dict[str, str]) -> None:
    navigation = SETTINGS.partition("\nnav:\n")[2].partition("\ntheme:\n")[0]
    named = re.findall(r"(\S+\.md)$", navigation, re.MULTILINE)
    docs = CHECKOUT / "docs"
    assert sorted(named) == sorted(p.relative_to(docs).as_posix() for p in docs.rglob("*.md"))
    assert made.keys().isdisjoint(named)


def test_every_command_and_model_has_a_page_of_its_own(made: dict[str, str]) -> None:
    commands = {name for panel in cli.COMMANDS.values() for name in panel}
    assert {f"commands/{name}.md" for name in commands} <= made.keys()
    for name in commands:
        assert f"Usage: salcli {name} [" in made[f"commands/{name}.md"]
    assert "## salcli weights fetch\n" in made["commands/weights.md"]
    models = {path for path in made if path.startswith("models/")}
    assert models == {f"models/{name}.md" for name in registry.models()}
    for name, spec in registry.models().items():
        assert f"\n{name}: {spec.summary[:20]}" in made[f"models/{name}.md"]


def test_all_weights_stand_in_the_table_of_licences(made: dict[str, str]) -> None:
    for name, spec in registry.models().items():
        for row in spec.weights:
            line = f"|  | `{name}:{row.tag}` | {row.licence or 'not stated'} |\n"
            assert line in made["licences.md"]


def test_hooks_and_public_names_are_described(made: dict[str, str]) -> None:
    for name in (name for name in vars(Hooks) if not name.startswith("_")):
        assert f"::: salcli.plugins.hooks.Hooks.{name}\n" in made["reference/hooks.md"]
    for module in ("salcli", "salcli.authoring", "salcli.testing"):
        public = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
        told = re.findall(r"^::: (\S+)$", made[f"reference/{module}.md"], re.MULTILINE)
        assert set(told) == public - {"salcli.__version__"}
    for metric in registry.metrics():
        assert f"| `{metric}` |" in made["reference/metrics.md"]
    for protocol in registry.protocols():
        assert f"## {protocol}\n" in made["reference/metrics.md"]


def test_marks_for_tests_are_not_shown(site: ModuleType) -> None:
    text = "```sh dataset\nsalcli\n```\n\n```python\n1\n```\n"
    assert site.on_page_markdown(text) == text.replace(" dataset", "")
