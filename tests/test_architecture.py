"""The tree is as docs/architecture.md declares it: places, their order, and what stays light."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import salcli
from salcli.plugins import hooks
from salcli.testing import HEAVY

ROOT = Path(salcli.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
TEXT = (ROOT.parent / "docs" / "architecture.md").read_text("utf-8")
ROW = re.compile(r"^\| `([\w./]+)` \|", re.MULTILINE)

HEAVY_ROOTS = {*HEAVY, "scipy", "safetensors", "imageio_ffmpeg", "cv2"}

LIGHT = {
    *("_version", "errors", "specs", "types", "recipe", "processes", "atomic", "ending", "logs"),
    *("events", "progress", "cli"),
    *(
        "__init__",
        "__main__",
        "_lazy",
        "authoring",
        "filters/__init__",
        "prediction/summary",
        "plugins/choice",
        "plugins/hooks",
        "plugins/loader",
        "plugins/registry",
    ),
    *("jsonfile", "plugins/core", "weights/store"),
}
"""Files of the package, without `.py`, that every command loads or may load."""


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


ORDER = ROW.findall(section("Packages and their order"))


def inside(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def name_of(path: Path) -> str:
    """The module's full name."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def place(path: Path) -> int:
    """Where a file stands in the declared order: itself, or the package that it belongs to."""
    file = inside(path)
    whole = file if file in ORDER else f"{file.partition('/')[0]}/"
    assert whole in ORDER, f"docs/architecture.md does not say where {file} stands"
    return ORDER.index(whole)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path, *, everywhere: bool) -> tuple[str, ...]:
    """Full names that are imported when the file is; or anywhere in it, for types only too."""

    def visit(node: ast.AST) -> Iterator[str]:
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if (late or for_types) and not everywhere:
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    return tuple(visit(tree_of(path)))


def own_imports(path: Path) -> set[Path]:
    """Files of salcli that the file imports, wherever in it; not the packages that hold them."""
    found = set(imports(path, everywhere=True)) & MODULES.keys()
    return {MODULES[name] for name in found if not any(f"{name}." in other for other in found)}


def test_every_module_has_its_row_and_every_row_its_module() -> None:
    packages = {row for row in ORDER if row.endswith("/")}
    alone = {row for row in ORDER if not row.endswith("/")}
    described = ROW.findall(section("Modules"))
    expected = {
        inside(path)
        for path in FILES
        if inside(path) not in alone
        and path.name != "__init__.py"
        and not inside(path).startswith("commands/")
    }
    assert sorted(described) == sorted(expected)
    assert packages == {
        f"{inside(path).partition('/')[0]}/" for path in FILES if "/" in inside(path)
    }
    assert alone >= {inside(path) for path in FILES if "/" not in inside(path)}


def test_every_hook_has_its_row() -> None:
    asked = {name for name in vars(hooks.Hooks) if not name.startswith("_")}
    assert sorted(ROW.findall(section("The seam"))) == sorted(asked)


@pytest.mark.parametrize("path", FILES, ids=inside)
def test_a_file_imports_only_from_places_above_its_own(path: Path) -> None:
    wrong = [inside(other) for other in own_imports(path) if place(other) > place(path)]
    assert not wrong, f"{inside(path)} stands above {', '.join(wrong)}, and imports from there"


def test_no_file_imports_itself_through_others() -> None:
    left = {path: own_imports(path) - {path} for path in FILES}
    while ends := [path for path, others in left.items() if not others & left.keys()]:
        for path in ends:
            del left[path]
    assert not left, f"these import each other: {', '.join(map(inside, left))}"


@pytest.mark.parametrize("path", FILES, ids=inside)
def test_light_files_import_nothing_heavy(path: Path) -> None:
    if not is_light(path):
        return
    found = set(imports(path, everywhere=False))
    assert {name.partition(".")[0] for name in found}.isdisjoint(HEAVY_ROOTS)
    assert found.isdisjoint(HEAVY_FILES)


@pytest.mark.parametrize("path", FILES, ids=inside)
def test_only_the_command_line_knows_typer(path: Path) -> None:
    if inside(path).startswith("commands/") or inside(path) in ("cli.py", "__main__.py"):
        return
    assert "typer" not in set(imports(path, everywhere=False))


def is_light(path: Path) -> bool:
    return inside(path).startswith("commands/") or inside(path).removesuffix(".py") in LIGHT


def heavy_files() -> set[str]:
    """Modules that import something heavy, themselves or through each other."""
    found = {name: set(imports(path, everywhere=False)) for name, path in MODULES.items()}
    heavy = {
        name
        for name, others in found.items()
        if not {other.partition(".")[0] for other in others}.isdisjoint(HEAVY_ROOTS)
    }
    while more := {name for name, others in found.items() if others & heavy} - heavy:
        heavy |= more
    return heavy


HEAVY_FILES = heavy_files()


def test_no_class_name_stands_for_two_things() -> None:
    """Each plugin has options of its own, all called `Options`."""
    plugins = [*ROOT.parent.glob("plugins/*"), *ROOT.parent.glob("examples/*")]
    files = [*FILES, *(path for each in plugins for path in each.glob("salcli_*/**/*.py"))]
    bodies = [tree_of(path).body for path in files]
    names = Counter(node.name for body in bodies for node in body if isinstance(node, ast.ClassDef))
    assert {name for name, count in names.items() if count > 1} <= {"Options"}
