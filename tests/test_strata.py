"""Imports point upward only: what a file may import depends on its stratum."""

import ast
from pathlib import Path

import pytest

import salcli
from salcli.testing import HEAVY

ROOT = Path(salcli.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

HEAVY_ROOTS = {*HEAVY, "scipy", "safetensors", "imageio_ffmpeg", "cv2"}

LIGHT = {
    *(
        "__init__",
        "__main__",
        "atomic",
        "plugins/core",
        "cli",
        "errors",
        "plugins/hooks",
        "plugins/loader",
    ),
    *("progress", "training/recipe", "plugins/registry", "specs", "types", "weights/store"),
}
"""Files of the package, without `.py`, that every command loads or may load."""


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def dotted(path: Path) -> str:
    """The module's name without the package's."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def is_light(path: Path) -> bool:
    inside = path.relative_to(ROOT)
    return inside.parts[0] == "commands" or str(inside.with_suffix("")) in LIGHT


def imports_at_module_level(path: Path) -> set[str]:
    """Every module that is imported when the file is, as a full name."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            found.add(base)
            if base.partition(".")[0] == "salcli":
                found.update(f"{base}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text("utf-8")))
    return found


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_light_files_import_nothing_heavy(path: Path) -> None:
    imports = imports_at_module_level(path)
    if is_light(path):
        assert {name.partition(".")[0] for name in imports}.isdisjoint(HEAVY_ROOTS)
        own = {name.partition("salcli.")[2] for name in imports if name.startswith("salcli.")}
        heavy = {dotted(file) for file in FILES if not is_light(file)}
        assert own.isdisjoint(heavy - indirectly_light())


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_commands_import_commands(path: Path) -> None:
    if path.relative_to(ROOT).parts[0] == "commands" or path.stem in ("cli", "__main__"):
        return
    imports = imports_at_module_level(path)
    upper = ("salcli.commands.", "salcli.cli.")
    assert not {name for name in imports if f"{name}.".startswith(upper)}
    assert "typer" not in imports


def indirectly_light() -> set[str]:
    """Files that import nothing heavy, neither themselves nor through each other."""
    imports = {dotted(f): imports_at_module_level(f) for f in FILES}
    heavy = {
        name
        for name, found in imports.items()
        if not {i.partition(".")[0] for i in found}.isdisjoint(HEAVY_ROOTS)
    }
    while more := {
        name
        for name, found in imports.items()
        if name not in heavy and not found.isdisjoint(f"salcli.{h}" for h in heavy)
    }:
        heavy |= more
    return set(imports) - heavy
