"""Several reports in one table and one plot, as a paper has them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salcli.errors import UsageError
from salcli.scoring import plots
from salcli.scoring.joint import joined

Run = Callable[..., subprocess.CompletedProcess[str]]

LATEX = r"""% osie, valid: 9 frames, protocol mit, mean over images.
\begin{tabular}{lrr}
\toprule
Model & s-AUC $\uparrow$ & KLD $\downarrow$ \\
\midrule
a\_b \& 50\%: x & \textbf{0.700} & 1.500 \\
c & \textbf{0.700} & \textbf{0.250} \\
d & - & 0.300 \\
\midrule
centre & 0.900 & 0.100 \\
observers (4 frames) & 0.950 & - \\
\bottomrule
\end{tabular}
"""

MARKDOWN = """| model | s-AUC \N{UPWARDS ARROW} | KLD \N{DOWNWARDS ARROW} |
| --- | ---: | ---: |
| a_b & 50%: x | **0.700** | 1.500 |
| c | **0.700** | **0.250** |
| d | - | 0.300 |
| centre | 0.900 | 0.100 |
| observers (4 frames) | 0.950 | - |

osie, valid: 9 frames, protocol mit, mean over images.
"""


def one(mean: float | None) -> dict[str, Any]:
    low, high = (None, None) if mean is None else (mean - 0.05, mean + 0.05)
    return {"mean": mean, "low": low, "high": high}


def document(name: str, auc: float | None, kld: float, **baselines: Any) -> dict[str, Any]:
    return {
        "name": name,
        "dataset": {"name": "osie", "edition": "", "split": "valid", "frames scored": 9},
        "protocol": {"name": "mit"},
        "scores": {
            "s-AUC": {"images": one(auc), "undefined": 0, "higher is better": True},
            "KLD": {"images": one(kld), "undefined": 0, "higher is better": False},
        },
        "baselines": {"priors": {"note": "of the split"}, **baselines},
    }


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    observers = {"frames": 4, "scores": {"s-AUC": one(0.95)}}
    centre = {"frames": 9, "scores": {"s-AUC": one(0.9), "KLD": one(0.1)}}
    return [
        document("a_b & 50%: x", 0.7004, 1.5, observers=observers, centre=centre),
        document("c", 0.6996, 0.25),
        document("d", None, 0.3),
    ]


def test_models_are_rows_the_best_are_bold_and_observers_last(
    documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    table = joined(documents)

    assert table.markdown() == MARKDOWN
    assert table.latex() == LATEX
    table.write(tmp_path / "t.tex")
    assert (tmp_path / "t.tex").read_text() == LATEX
    with pytest.raises(UsageError, match="is Markdown"):
        table.write(tmp_path / "t.html")


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_plots_are_of_the_wanted_kind_and_the_same_each_time(
    documents: list[dict[str, Any]], tmp_path: Path, kind: str, start: bytes
) -> None:
    files = [tmp_path / f"{name}.{kind}" for name in "ab"]
    for file in files:
        plots.models(file, joined(documents))

    first, second = (file.read_bytes() for file in files)
    assert first.startswith(start)
    assert first == second
    with pytest.raises(UsageError, match="a plot is one of png, pdf, svg"):
        plots.models(tmp_path / "a.gif", joined(documents))


def test_score_and_compare_write_one_table_for_all(
    salcli: Run, miniature: Callable[[str], Path], tmp_path: Path
) -> None:
    given = ["--data", "osie", "--root", miniature("osie"), "--metrics", "NSS,KLD"]
    models = ["--model", "centre", "--model", "spectral-residual", "--plot", "svg"]
    done = salcli("score", *given, *models, "--baselines", "none", "-o", tmp_path / "s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[0].lower() == "model"

    files = {file.name for file in (tmp_path / "s").iterdir() if file.is_file()}
    pair = "centre-and-spectral-residual.svg"
    assert files == {"models.md", "models.tex", "models.svg", pair}
    own = {file.name for file in (tmp_path / "s" / "centre").iterdir()}
    assert {"distribution.svg"} == {name for name in own if name.endswith((".svg", ".png"))}
    reports = [tmp_path / "s" / name for name in ("centre", "spectral-residual", "centre")]
    again = salcli("compare", *reports[:2], "--table", tmp_path / "t.md")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "t.md").read_text() == (tmp_path / "s" / "models.md").read_text()
    assert "**" in (tmp_path / "t.md").read_text()
    three = salcli("compare", *reports, "--plot", tmp_path / "three.pdf")
    assert three.returncode == 0, three.stderr
    assert (tmp_path / "three.pdf").read_bytes().startswith(b"%PDF")
