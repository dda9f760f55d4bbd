"""The files that a training writes under the published names, and the scores of its result."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from salcli_unisal.protocol import data_name

from salcli import load_model
from salcli.authoring import checkpoint

Run = Callable[..., subprocess.CompletedProcess[str]]
Part = Callable[..., Path]

TRAINER = """num_epochs optim_algo momentum lr lr_scheduler lr_gamma weight_decay cnn_weight_decay
grad_clip loss_metrics loss_weights data_sources batch_size salicon_batch_size hollywood_batch_size
ucfsports_batch_size salicon_weight hollywood_weight ucfsports_weight data_cfg salicon_cfg
hollywood_cfg ucfsports_cfg shuffle_datasets cnn_lr_factor train_cnn_after cnn_eval model_cfg prefix
suffix num_workers chkpnt_warmup chkpnt_epochs tboard debug new_instance"""

SCORED = ("kld", "nss", "cc", "sim", "aucj", "aucs")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture
def published(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Very little of the four datasets."""
    roots = {
        "DHF1K_DATA_DIR": part("dhf1k", *(f"annotation/{n}/*/*.png" for n in ("0002", "0601"))),
        "HOLLYWOOD_DATA_DIR": part(
            "hollywood2", *(f"training/actioncliptrain{n}_1/*/*.png" for n in ("00001", "00456"))
        ),
        "UCFSPORTS_DATA_DIR": part(
            "ucfsports",
            *(f"training/Diving-Side-0{n}/*/*.png" for n in ("05", "07")),
            "testing/Golf-Swing-Back-001/*/*_00[12].png",
        ),
        "SALICON_DATA_DIR": part(
            "salicon",
            *(f"images/*{n}.jpg" for n in ("009", "133", "143")),
            *(f"*/*/*{n}.*" for n in ("009", "133", "143")),
        ),
    }
    for variable, root in roots.items():
        monkeypatch.setenv(variable, str(root))


@pytest.mark.endurance
def test_a_training_on_the_four_datasets_leaves_what_is_published(
    salcli: Run, published: None, weights: Path, tmp_path: Path
) -> None:
    run = tmp_path / "2026-11-21_mine_too"
    words = "--recipe published --epochs 1 --batch-size 1 --clip-length 1 --clip-stride 1 --lr 0.01"
    more = ("--workers", "0", "--device", "cpu", "--json", "-o", run, "--weights", weights)
    evaluated = ("--evaluate", "salicon", "--evaluate", "ucfsports")
    done = salcli("train", "--model", "unisal", *words.split(), *more, *evaluated)
    assert done.returncode == 0, done.stderr

    trainer = read(run / "Trainer.json")
    assert list(trainer) == TRAINER.split()
    assert trainer["data_sources"] == ["DHF1K", "Hollywood", "UCFSports", "SALICON"]
    assert (
        trainer["num_epochs"],
        trainer["lr"],
        trainer["lr_scheduler"],
        trainer["batch_size"],
    ) == (*(1, 0.01, "ExponentialLR", 1),)
    assert (trainer["loss_metrics"], trainer["loss_weights"]) == (
        *(["kld", "nss", "cc"], [1.0, -0.1, -0.1]),
    )
    assert (trainer["prefix"], trainer["suffix"]) == ("2026-11-21", "mine_too")
    assert (trainer["num_workers"], trainer["train_cnn_after"]) == (0, 2)
    network = read(run / "UNISAL.json")
    assert network["sources"] == trainer["data_sources"]
    assert (network["drop_probs"], network["n_gaussians"]) == ([0.0, 0.6, 0.6], 16)
    datasets = {
        name: read(run / f"{name}Dataset.json") for name in ("DHF1K", "Hollywood", "UCFSports")
    }
    assert [each["seq_per_vid_val"] for each in datasets.values()] == [2, 1, 1]
    assert [each["seq_len"] for each in datasets.values()] == [1, 1, 1]
    assert [each["target_size"] for each in datasets.values()] == [[36, 48], [224, 416], [256, 384]]
    assert read(run / "SALICONDataset.json")["out_size"] == [288, 384]

    scalars = read(run / "all_scalars.json")
    assert list(scalars["conv"]["lr"]) == ["0"]
    for key in ("conv", "hollywood", "ucfsports", "salicon"):
        for tag in ("loss", "loss_0", "loss_1", "loss_2"):
            assert {phase: list(v) for phase, v in scalars[key][tag].items()} == {
                "train": ["0"],
                "valid": ["0"],
            }
        for phase in ("train", "valid"):
            total, kld, nss, cc = (
                scalars[key][tag][phase]["0"] for tag in ("loss", "loss_0", "loss_1", "loss_2")
            )
            assert total == pytest.approx(kld - 0.1 * nss - 0.1 * cc, rel=1e-4)
    assert scalars["salicon"]["loss"]["train"] != scalars["conv"]["loss"]["train"]

    lines = [json.loads(text) for text in done.stdout.splitlines()]
    told = {line["evaluation"]: line for line in lines if "evaluation" in line}
    assert {name: (line["split"], line["protocol"]) for name, line in told.items()} == {
        "salicon": ("valid", "unisal"),
        "ucfsports": ("test", "unisal"),
    }
    for name, source, clips in (("salicon", "SALICON", 2), ("ucfsports", "UCFSports_resized", 1)):
        report = read(run / "evaluation" / name / "scores.json")
        domain = source.partition("_")[0]
        assert report["predictions"]["options"]["domain"] == domain
        means = read(run / f"{source}_eval_mean_scores.json")
        assert [mean for mean in means if mean is not None] == list(told[name]["scores"].values())
        assert len(read(run / f"{source}_eval_scores.json")) == clips
        assert len(read(run / f"{source}_eval_weighted_mean_scores.json")) == 6
        found = read(run / f"all_scalars_eval-{source}.json")
        assert found[f"{source}_eval"] == {
            metric: {"0": mean} for metric, mean in zip(SCORED, means, strict=True)
        }
        assert found["conv"] == scalars["conv"]
    assert None not in read(run / "SALICON_eval_mean_scores.json")
    assert "SALICON_eval" in read(run / "all_scalars_eval-UCFSports_resized.json")


def test_a_finetuning_on_mit1003_leaves_what_is_published(
    salcli: Run,
    miniature: Callable[[str], Path],
    part: Part,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Its held-out fold is scored, and MIT300, as the recipe says, predicted."""
    monkeypatch.setenv("MIT300_DATA_DIR", str(part("mit300", "*/i1.jpg")))
    run = tmp_path / "run"
    done = salcli(
        *("finetune", "--data", f"mit1003={miniature('mit1003')}", "--fold", "1"),
        *("--epochs", "1", "--epoch-steps", "1", "--batch-size", "2", "--lr", "0.0001"),
        *("--train-cnn-after", "0", "--lr-gamma", "0.8", "--workers", "0", "--evaluate", "mit1003"),
        *("--evaluate", "mit300", "--device", "cpu", "-o", run),
    )
    assert done.returncode == 0, done.stderr
    assert "mit300  test has no ground truth; maps for its benchmark" in done.stderr
    assert (run / "evaluation" / "mit300" / "i1.png").is_file()
    metadata = checkpoint.read(run / "best.safetensors").metadata
    assert metadata["recipe"]["truth_size"] == 2.0
    assert metadata["data"]["layout"] == ["mit1003"]
    raw = run / "weights_ft_mit1003.pth"
    loaded = load_model(
        "unisal:open", weights_file=raw, options=["sources=SALICON", "padding=same"], device="cpu"
    )
    saved = checkpoint.read(run / "best.safetensors").state
    assert all(torch.equal(t, saved[name]) for name, t in loaded.model.network.state_dict().items())

    folder = run / "MIT1003_lr0.0001_lrGamma0.80_nEpochs1_TrainCNNAfter0_xVal1"
    scalars = read(folder / "all_scalars.json")
    assert set(scalars["mit1003"]["loss"]) == {"train", "valid"}
    assert scalars["conv"]["lr"].keys() == {"0"}
    negated = float((run / "best_val_loss.dat").read_text())
    assert negated == pytest.approx(-scalars["mit1003"]["loss"]["valid"]["0"])
    trainer, dataset = read(run / "Trainer.json"), read(run / "MIT1003Dataset.json")
    assert (trainer["loss_metrics"], trainer["salicon_batch_size"]) == (["kld"], 2)
    assert trainer["batch_size"] is None
    assert (dataset["n_x_val"], dataset["x_val_step"], dataset["x_val_seed"]) == (10, 1, 27)
    assert read(run / "UNISAL.json")["cnn_cfg"]["padding"] == "same"
    report = read(run / "evaluation" / "mit1003" / "scores.json")
    assert (report["dataset"]["split"], report["dataset"]["frames"]) == ("valid", 2)
    assert len(read(folder / "MIT1003_eval_scores.json")) == 2
    assert set(read(folder / "all_scalars_eval-MIT1003.json")) == {
        *("conv", "mit1003", "MIT1003_eval")
    }


def test_scores_of_a_folder_have_its_name() -> None:
    """As for custom datasets in the fork of UNISAL's code."""
    videos = [{"group": "FINAL_TEST", "means": {}}]
    assert data_name({"dataset": {"name": "folder"}, "videos": videos}) == "FINAL_TEST"
    two = [*videos, {"group": "other", "means": {}}]
    assert data_name({"dataset": {"name": "folder"}, "videos": two}) is None
    assert data_name({"dataset": {"name": "osie"}, "videos": videos}) is None
    assert data_name({"dataset": {"name": "ucfsports"}, "videos": []}) == "UCFSports_resized"


def test_what_the_recipe_evaluates_on_may_be_absent_what_is_asked_for_may_not(
    salcli: Run, miniature: Callable[[str], Path], tmp_path: Path
) -> None:
    """The training itself fails, since there are too few data for its batches of 32."""
    words = ("finetune", "--data", f"mit1003={miniature('mit1003')}", "--workers", "0")
    own = ("--device", "cpu", "-o", tmp_path / "run")
    done = salcli(*words, *own)
    assert "not evaluated on mit300, as the recipe would: where is dataset 'mit300'?" in done.stderr
    assert "too few for one batch of 32" in done.stderr
    for asked, message in {
        "none": "too few for one batch of 32",
        "mit300": "error: where is dataset 'mit300'?",
        "mit1003:test": "no split of dataset 'mit1003' named 'test'",
        "mit1004": "no dataset named 'mit1004'; did you mean mit1003",
    }.items():
        done = salcli(*words, *own, "--evaluate", asked)
        assert done.returncode == 2
        assert message in done.stderr
        assert "not evaluated on" not in done.stderr
