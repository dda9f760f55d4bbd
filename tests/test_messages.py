"""Messages below `commands/` know no command line: flags are the commands' business."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import salcli

ROOT = Path(salcli.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z]|(?:^|[\s'(])-[oODmnqvh](?=[\s=,;]|$)")
ALLOWED = {
    "-v",  # of ffmpeg
    "predict --help",  # the commands that list engines, protocols and styles
    "score --help",
    "visualize --help",
}


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """String constants that are no docstrings."""
    tree = ast.parse(file.read_text("utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documents:
            yield node.lineno, str(node.value)


def test_messages_below_the_commands_name_no_flags() -> None:
    files = [file for file in ROOT.rglob("*.py") if file.parent.name != "commands"]
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text}"
        for file in files
        if file.name != "cli.py"
        for line, text in texts(file)
        if FLAG.search(text) and text not in ALLOWED
    ]
    assert len(files) > 100
    assert not found
