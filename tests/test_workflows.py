"""What .github/ and .pre-commit-config.yaml run exists, for the systems and Pythons that are named.

Services run them; here only what they name can be compared.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
WORKFLOWS = {path.name: path.read_text("utf-8") for path in CHECKOUT.glob(".github/workflows/*")}
PROJECTS = [CHECKOUT, *(path.parent for path in CHECKOUT.glob("plugins/*/pyproject.toml"))]


def test_tests_run_on_three_systems_and_all_pythons_that_are_named() -> None:
    tests = WORKFLOWS["tests.yml"]
    (systems,) = re.findall(r"^ +system: \[(.*)\]$", tests, re.MULTILINE)
    assert [name.partition("-")[0] for name in systems.split(", ")] == [
        "ubuntu",
        "macos",
        "windows",
    ]
    (pythons,) = re.findall(r"^ +python: \[(.*)\]$", tests, re.MULTILINE)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert re.findall(r'"(.*?)"', pythons) == named
    assert project["requires-python"] == f">={named[0]}"


def test_sessions_that_workflows_and_contributing_name_exist() -> None:
    sessions = re.findall(r"@nox\.session\ndef (\w+)", (CHECKOUT / "noxfile.py").read_text("utf-8"))
    text = "\n".join([*WORKFLOWS.values(), (CHECKOUT / "CONTRIBUTING.md").read_text("utf-8")])
    assert set(re.findall(r"nox -s (\w+)", text)) == {"tests", "lowest", "docs", "endurance"}
    assert {"tests", "lowest", "docs", "endurance"} <= set(sessions)


def test_a_tag_names_a_distribution_and_its_folder() -> None:
    assert "project=plugins/$name\n" in WORKFLOWS["publish.yml"]
    for project in PROJECTS[1:]:
        name = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["name"]
        assert project.name == name
        assert name.startswith("salcli-")


def test_no_workflow_may_write_or_puts_foreign_text_into_a_command() -> None:
    for name, text in WORKFLOWS.items():
        assert "\npermissions:\n  contents: read\n" in text, name
        assert re.findall(r"^ +([\w-]+): write$", text, re.MULTILINE) == (
            ["id-token"] if name == "publish.yml" else []
        )
        for line in re.findall(r"^ +(?:- )?run: (?!\|)(.*)$", text, re.MULTILINE):
            assert "${{" not in line, name
        for block in re.findall(r"run: \|\n((?: {10}.*\n)+)", text):
            assert "${{" not in block, name
