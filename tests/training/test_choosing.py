"""Which epoch is the best one, by what, and when no further one comes."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from salcli.datasets.folder import FolderOptions, open_folder
from salcli.errors import UnknownName, UsageError

from .conftest import Fit, make_stills


def test_the_best_epoch_is_kept(fit: Fit) -> None:
    done = fit("tiny")
    scores = [line["validation"]["all"]["CC"] for line in done.validations]
    saved = done.best
    assert saved.metadata["epoch"] == int(np.argmax(scores))
    assert saved.metadata["validation"]["all"]["CC"] == max(scores)
    assert [line["best"] for line in done.validations] == [
        score == max(scores[: n + 1]) for n, score in enumerate(scores)
    ]


def test_selection_knows_the_direction_of_the_metric(fit: Fit) -> None:
    done = fit("tiny", select="KLD")
    scores = [line["validation"]["all"]["KLD"] for line in done.validations]
    assert done.best.metadata["epoch"] == np.argmin(scores)


def test_the_best_epoch_can_be_chosen_by_the_loss(fit: Fit) -> None:
    done = fit(epochs=3, select="loss", learning_rate=0.2)
    found = [line["validation"]["all"]["loss"] for line in done.validations]
    assert done.best.metadata["validation"]["all"]["loss"] == min(found)
    assert set(done.lines[-1]["validation"]["all"]) == {"loss", "kld"}


def test_early_epochs_may_not_count_and_late_ones_may_not_come(
    fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    from salcli_little.model import Little

    def second(self, scores, recipe, epoch):
        return scores["folder"][recipe.select] if epoch else None

    with monkeypatch.context() as patched:
        patched.setattr(Little, "selecting_score", second)
        done = fit(epochs=3, select="loss", learning_rate=0.0)
    assert [line["best"] for line in done.validations] == [False, True, False]
    done = fit(epochs=9, select="loss", learning_rate=0.0, patience=2)
    assert [line["best"] for line in done.validations] == [True, False, False]


def test_only_some_frames_of_a_clip_are_scored(fit: Fit) -> None:
    whole = fit(epochs=1, validation_frames=0).lines[-1]["validation"]["all"]["CC"]
    few = fit(epochs=1, validation_frames=2).lines[-1]["validation"]["all"]["CC"]
    assert whole != few


def test_maps_or_fixations_alone_are_enough(fit: Fit, tmp_path: Path) -> None:
    roots = {
        "maps": make_stills(tmp_path / "maps", 4, fixations=False),
        "fixations": make_stills(tmp_path / "fixations", 4, maps=False),
    }
    for name, root in roots.items():
        data = open_folder([root], FolderOptions("4"))
        scores = fit("tiny", data=data, epochs=1).lines[-1]["validation"]["all"]
        assert set(scores) >= {"CC", "SIM", "KLD"}
        assert ("NSS" in scores) == (name == "fixations")
    with pytest.raises(UsageError, match="fixations/"):
        fit("tiny", data=open_folder([roots["maps"]], FolderOptions("4")), select="NSS")


def test_impossible_recipes_are_refused_at_once(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="CCC"):
        fit("tiny", select="CCC")
    with pytest.raises(UsageError, match="too few for one batch of 99"):
        fit("tiny", batch_size=99)
    with pytest.raises(UsageError, match="too few for the 9 batches of 2 of one step"):
        fit("tiny", accumulation=9)
    assert not list(tmp_path.iterdir())


def test_metrics_are_computed_beside_the_network(
    fit: Fit,
    install_plugins: Callable[..., None],
    make_site: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_plugins(make_site("salcli_metric"))
    from salcli_metric import peak

    threads = set()

    def where(saliency, fixations, *, factor=1.0):
        threads.add(threading.current_thread())
        return factor * saliency[fixations > 0].max()

    monkeypatch.setattr(peak, "peak", where)
    done = fit("tiny", epochs=1)
    assert 0 < done.validations[0]["validation"]["all"]["peak"] <= 1
    assert threads
    assert threading.main_thread() not in threads
