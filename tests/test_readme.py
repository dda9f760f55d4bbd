"""Everything that the README and the pages in docs/ say can be done is done here."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from salcli import cli, errors

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text("utf-8")
PAGES = {
    page: page.read_text("utf-8")
    for page in [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
    if page.name != "architecture.md"
}
TEXT = "".join(PAGES.values())


@dataclass(frozen=True)
class Block:
    """A fenced block: the language, the word after it, and the text."""

    language: str
    mark: str
    text: str


BLOCKS = [
    Block(*found.groups())
    for found in re.finditer(r"^```(\w+) ?(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
]


NOT_RUN = {
    "dataset": "needs a published dataset",
    "download": "needs a network",
    "elsewhere": "needs another program, or changes the machine",
    "files": "needs files of the reader's own",
    "slow": "takes too long",
}
"""Marks of blocks that are not run, with the reason; their commands are parsed."""


def blocks(language: str, mark: str = "") -> list[str]:
    return [b.text for b in BLOCKS if (b.language, b.mark) == (language, mark)]


def commands(mark: str) -> list[list[str]]:
    """The salcli command lines in `sh` blocks, without the name of the program."""
    words = [
        shlex.split(line, comments=True)
        for block in blocks("sh", mark)
        for line in block.splitlines()
    ]
    return [line[1:] for line in words if line and line[0] == "salcli"]


SETUP = [line for line in "".join(blocks("sh")).splitlines() if not line.startswith("salcli")]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the examples name; nothing downloaded yet."""
    clip = np.random.default_rng(0).integers(0, 255, (3, 90, 160, 3), np.uint8)
    writer = imageio_ffmpeg.write_frames(tmp_path / "bikes.mp4", (160, 90), macro_block_size=2)
    writer.send(None)
    for frame in clip:
        writer.send(frame.tobytes())
    writer.close()
    pictures = ["photo.jpg", "photos/street.jpg", "photos/beach.jpg"]
    for name in [*pictures, "frames/0001.png", "frames/0002.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(clip[0]).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SALCLI_OFFLINE", "1")
    return tmp_path


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["salcli", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code in (0, None), words


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {(b.language, b.mark) for b in BLOCKS}
    tested = {("sh", ""), ("python", ""), ("python", "contract")}
    # by tests/test_tutorial.py
    tested |= {(language, "tutorial") for language in ("toml", "python", "sh")} | {
        ("sh", "refused")
    }
    tested |= {("sh", mark) for mark in NOT_RUN}
    tested |= {("python", "dataset")}  # by tests/test_public_surface.py
    tested |= {("python", "export")}  # by tests/test_export.py
    tested |= {("python", "image"), ("python", "recurrent")}  # by tests/test_framewise.py
    # by tests/test_filters.py
    tested |= {("python", mark) for mark in ("preprocess", "predict", "filter")}
    assert kinds == tested | {("text", "files")}
    assert TEXT.count("```") == 2 * len(BLOCKS)


def test_opens_with_the_installation_and_ci_runs_the_command_for_developers() -> None:
    install, everything, demo, tests = SETUP
    assert README.index(install) < 500
    assert README.index("## Develop") < README.index(demo) < README.index(tests)
    assert len(README.splitlines()) <= 160
    assert demo == 'python3 -m pip install "nox[uv]" && python3 -m nox -s demo'
    assert tests == 'python3 -m pip install "nox[uv]" && python3 -m nox -s tests'
    assert install == 'pip install "salcli[unisal]"'
    assert everything == 'pip install "salcli[all]"'
    assert (CHECKOUT / ".ci" / "run").read_text().splitlines()[-1] == tests
    sessions = re.findall(r"@nox\.session\ndef (\w+)", (CHECKOUT / "noxfile.py").read_text())
    assert sessions[:2] == ["demo", "tests"]


def test_examples_work_and_write_the_files_that_the_readme_names(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in commands(""):
        run(words, monkeypatch)
    for name in "".join(blocks("text", "files")).split():
        assert (desk / name).is_file(), name


def parse(group: Any, words: list[str]) -> None:
    """Go through a command line as click does, without running it."""
    context = group.make_context("salcli", list(words))
    while hasattr(group, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, group, rest = group.resolve_command(context, rest)
        context = group.make_context(name, rest, parent=context)


@pytest.fixture(scope="module")
def application() -> Any:
    """The command line as click knows it."""
    return cli.build()


@pytest.mark.parametrize("words", [w for m in NOT_RUN for w in commands(m)], ids=" ".join)
def test_commands_that_are_not_run_exist_with_these_options(
    words: list[str], application: Any
) -> None:
    if words == ["--install-completion"]:
        assert words[0] in {o for p in application.params for o in p.opts}
        return
    parse(application, words)


def test_a_command_line_that_does_not_exist_is_found(application: Any) -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(application, ["weights", "fetch", "unisal", "--nonsense"])


def test_a_contract_that_a_page_checks_is_kept() -> None:
    (text,) = blocks("python", "contract")
    exec(compile(text, "plugins.md", "exec"), {})


def test_environment_variables_are_those_that_the_code_reads() -> None:
    code = "".join(file.read_text() for file in (CHECKOUT / "salcli").rglob("*.py"))
    named = set(re.findall(r"SALCLI_[A-Z_]+", TEXT))
    assert named == set(re.findall(r"[\"']?(SALCLI_[A-Z_]+)", code))


def test_exit_codes_are_those_of_the_errors() -> None:
    section = TEXT.partition("## Exit codes")[2].partition("##")[0]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert told == {0, cli.INTERRUPTED, *(kind.exit_code for kind in kinds)}


@pytest.mark.parametrize(
    "text", blocks("python"), ids=["readme", "crop", "encode", "start", "path", "arrays", "areas"]
)
def test_python_examples_run(text: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(text, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 2


def anchor(title: str) -> str:
    """The name by which a link finds a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", PAGES[page]):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.is_file(), target
        titles = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in map(anchor, titles), heading


def test_notebook_runs_from_top_to_bottom(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a kernel does it: one namespace, and the value of a cell's last expression is shown."""
    notebook = json.loads((CHECKOUT / "docs" / "notebook.ipynb").read_text("utf-8"))
    names: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert not cell["outputs"], "clear the outputs before you commit"
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), "notebook", "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "notebook", "eval"), names))
    pictures = [each._repr_png_() for each in shown if each is not None]
    assert [data[:4] for data in pictures] == [b"\x89PNG"] * 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["(240,", "dot:", "left:"]
