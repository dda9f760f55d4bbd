"""`salcli.score` and `salcli.compare` do in Python what the commands do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import salcli as package
from salcli.errors import InputError, UnknownName, UsageError

Run = Callable[..., subprocess.CompletedProcess[str]]
Miniature = Callable[[str], Path]
Read = Callable[[Path], dict[str, Any]]
Store = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("fakes")


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a report without how long it took."""
    return {key: value for key, value in document.items() if key != "seconds"}


def test_a_score_is_that_of_the_command(
    salcli: Run, osie: Path, store: Store, tmp_path: Path, read: Read
) -> None:
    maps = store(osie, tmp_path / "maps")
    words = ("-m", "brightness", "-O", "gain=0.5", "--predictions", maps)
    words += ("--metrics", "NSS,AUC-Judd")
    settings = ("--protocol", "unisal", "--limit", "8", "--seed", "3", "--device", "cpu")
    done = salcli("score", "--data", "osie", "--root", osie, *words, *settings)
    assert done.returncode == 0, done.stderr

    documents = package.score(
        "osie",
        roots=[osie],
        models="brightness",
        options={"gain": 0.5},
        predictions=maps,
        metrics=["nss", "AUC-Judd"],
        protocol="unisal",
        limit=8,
        seed=3,
        device="cpu",
        output=tmp_path / "python",
    )

    names = [path.name for path in sorted((tmp_path / "scores").iterdir())]
    assert names == [path.name for path in sorted((tmp_path / "python").iterdir())]
    for document, name in zip(documents, ("brightness", "maps"), strict=True):
        there = tmp_path / "python" / name
        assert without_times(document) == without_times(read(there))
        assert without_times(document) == without_times(read(tmp_path / "scores" / name))
        table = (tmp_path / "scores" / name / "scores.csv").read_bytes()
        assert (there / "scores.csv").read_bytes() == table


def test_problems_are_warnings_and_nothing_at_all_an_error(
    osie: Path, store: Store, tmp_path: Path
) -> None:
    maps = store(osie, tmp_path / "maps")
    next(iter(sorted(maps.iterdir()))).unlink()
    (tmp_path / "empty").mkdir()
    scoring: dict[str, Any] = {
        "roots": [osie],
        "metrics": ["CC"],
        "baselines": "none",
        "output": tmp_path / "scores",
    }
    with pytest.warns(RuntimeWarning) as caught:
        (document,) = package.score("osie", predictions=[maps, tmp_path / "empty"], **scoring)
    texts = [str(warning.message) for warning in caught]
    assert document["dataset"]["frames scored"] == 11
    assert any("no map of it" in text for text in texts)
    assert any("nothing of 'empty' could be scored" in text for text in texts)
    with pytest.warns(RuntimeWarning), pytest.raises(InputError, match="nothing could be scored"):
        package.score("osie", predictions=tmp_path / "empty", **scoring)
    with pytest.raises(UnknownName, match="no protocol named 'mti'"):
        package.score("osie", predictions=maps, protocol="mti", **scoring)


def test_a_protocol_of_a_plugin_writes_its_own_files(
    install_plugins: Callable[..., None],
    make_site: Callable[..., Path],
    osie: Path,
    store: Store,
    tmp_path: Path,
) -> None:
    install_plugins(make_site("salcli_metric"))
    maps = store(osie, tmp_path / "maps")
    (document,) = package.score(
        "osie", roots=[osie], predictions=maps, protocol="peaks", output=tmp_path / "scores"
    )
    written = (tmp_path / "scores" / "maps" / "peaks.txt").read_text()
    assert float(written) == document["scores"]["peak"]["images"]["mean"]


def test_a_comparison_is_that_of_the_command(
    salcli: Run, osie: Path, tmp_path: Path, store: Store
) -> None:
    maps = store(osie, tmp_path / "maps")
    documents = package.score(
        "osie",
        roots=[osie],
        models="centre",
        predictions=maps,
        metrics=["NSS", "KLD"],
        baselines="none",
        output=tmp_path / "scores",
    )
    folders = [tmp_path / "scores" / "centre", tmp_path / "scores" / "maps"]
    done = salcli("compare", *folders, "--json", "--fail-below", "9", "--plot", "command.png")
    assert done.returncode == 1

    (found,) = package.compare(documents, fail_below=["9"], plot=tmp_path / "python.png")

    assert found.document() == json.loads(done.stdout)[0]
    assert [f"salcli: below the limit: {line}" for line in found.broken] == done.stderr.splitlines()
    assert {line.split()[1] for line in found.broken} == {"NSS", "KLD"}
    plots = [(tmp_path / f"{name}.png").read_bytes() for name in ("command", "python")]
    assert plots[0] == plots[1]
    assert package.compare(folders)[0].broken == []
    with pytest.raises(UsageError, match="at least two reports"):
        package.compare(folders[:1])


def test_metrics_are_imported_when_first_used() -> None:
    code = (
        "import sys, salcli\n"
        "assert 'numpy' not in sys.modules\n"
        "import numpy\n"
        "print(salcli.metrics.nss(numpy.eye(3), numpy.eye(3, dtype=int)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    assert float(done.stdout) == pytest.approx(4 / 3)
