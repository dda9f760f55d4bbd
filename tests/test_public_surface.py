"""What users and plugins may import: nothing else is used by plugins, README and docs."""

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import salcli
from salcli.plugins.hooks import Hooks

CHECKOUT = Path(salcli.__file__).parents[1]
PUBLIC = ("salcli", "salcli.authoring", "salcli.testing")
SUBMODULES = ("salcli.testing.fixtures", "salcli.testing.miniatures")
"""Parts of `salcli.testing` that are public under their own names."""

PROCESS = "tests/fakes/salcli_little/process.py"
"""Runs the command in a process of its own, as the shell does; no example for a plugin."""

FILES = [
    *sorted(CHECKOUT.glob("plugins/*/**/*.py")),
    *sorted(CHECKOUT.glob("examples/*/**/*.py")),
    *sorted(path for path in CHECKOUT.glob("tests/fakes/*/*.py") if not path.match(PROCESS)),
]
TEXTS = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *CHECKOUT.glob("docs/*.md")]
EXAMPLES = [
    (path, text)
    for path in [
        *TEXTS,
        *CHECKOUT.glob("plugins/*/README.md"),
        *CHECKOUT.glob("examples/*/README.md"),
    ]
    for text in re.findall(r"^```python\b[^\n]*\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S)
]


def imported(code: str) -> Iterator[tuple[str, str]]:
    """Module and name of each import from salcli, anywhere in the code; no name for a module."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


def private(code: str) -> list[str]:
    """Imports from salcli that only salcli itself may do."""
    own = [(m, name) for m, name in imported(code) if m.partition(".")[0] == "salcli"]
    return [f"{m}.{name}".rstrip(".") for m, name in own if not is_public(m, name)]


def is_public(module: str, name: str) -> bool:
    if module not in PUBLIC + SUBMODULES:
        return False
    whole = f"{module}.{name}"
    return (
        not name or whole in PUBLIC + SUBMODULES or name in importlib.import_module(module).__all__
    )


def name_of(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_plugins_and_their_tests_import_public_names_only(path: Path) -> None:
    assert private(path.read_text("utf-8")) == []


@pytest.mark.parametrize(("path", "code"), EXAMPLES, ids=[name_of(path) for path, _ in EXAMPLES])
def test_examples_import_public_names_only(path: Path, code: str) -> None:
    assert private(code) == []
    for name in re.findall(r"\bsalcli\.(\w+)", code):
        assert is_public("salcli", name), f"{name_of(path)} uses salcli.{name}"


@pytest.mark.parametrize("module", [*PUBLIC, *SUBMODULES])
def test_all_names_the_public_and_each_can_be_imported(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__all__ == sorted(set(found.__all__))
    for name in found.__all__:
        getattr(found, name)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_name_that_is_offered_is_in_all(module: str) -> None:
    """What type checkers see, what is imported late, and what `__all__` says are the same."""
    found = importlib.import_module(module)
    tree = ast.parse(Path(str(found.__file__)).read_text("utf-8"))
    guarded = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {name for node in guarded for _, name in imported(ast.unparse(node))}
    late = [
        ast.literal_eval(node.value.args[1])
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if ast.unparse(node.targets[0]) == "__getattr__"
    ]
    assert [list(names) for names in late] == [sorted(seen)]
    assert seen <= set(found.__all__)
    for name, place in late[0].items():
        made = importlib.import_module(place)
        assert getattr(made, name, made) is getattr(found, name)
        assert hasattr(made, name) or place.endswith(f".{name}")


@pytest.mark.parametrize("module", PUBLIC)
def test_a_name_that_is_not_offered_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
        _ = importlib.import_module(module).nothing


def test_the_guide_names_every_hook() -> None:
    text = (CHECKOUT / "docs" / "plugins.md").read_text("utf-8")
    section = text.partition("\n## Hooks\n")[2].partition("\n## ")[0]
    described = re.findall(r"^\| `(\w+)\(", section, re.MULTILINE)
    assert sorted(described) == sorted(name for name in vars(Hooks) if not name.startswith("_"))


def test_the_public_modules_are_those_of_the_guide() -> None:
    text = (CHECKOUT / "docs" / "plugins.md").read_text("utf-8")
    section = text.partition("\n## What is public\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)) == PUBLIC
    for name in re.findall(r"`salcli\.authoring\.(\w+)`", text):
        assert is_public("salcli.authoring", name)


@pytest.mark.parametrize("name", [name for name in vars(Hooks) if not name.startswith("_")])
def test_every_argument_of_a_hook_is_documented(name: str) -> None:
    hook = getattr(Hooks, name)
    arguments = {one for one in inspect.signature(hook).parameters if one != "self"}
    assert arguments <= set(re.findall(r"\w+", hook.__doc__))


@pytest.mark.parametrize("name", [name for name in salcli.__all__ if name.endswith("Spec")])
def test_every_field_of_a_description_is_documented(name: str) -> None:
    spec = getattr(salcli, name)
    fields = {field.name for field in dataclasses.fields(spec)}
    assert fields <= set(re.findall(r"\w+", spec.__doc__.partition("Attributes:")[2]))


AUTHORING = importlib.import_module("salcli.authoring")


@pytest.mark.parametrize(
    "name", [each for each in AUTHORING.__all__ if inspect.isfunction(getattr(AUTHORING, each))]
)
def test_every_argument_of_an_authoring_function_is_documented(name: str) -> None:
    function = getattr(AUTHORING, name)
    assert {*inspect.signature(function).parameters} <= {*re.findall(r"\w+", function.__doc__)}
