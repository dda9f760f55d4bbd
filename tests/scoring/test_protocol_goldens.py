"""The protocols of UNISAL, SalEMA and TempSAL give what the original code gave."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from salcli import metrics
from salcli.protocols import protocol
from salcli.protocols.preparation import GroundTruth, prepare, prepare_truth
from salcli.protocols.scorer import measure

GOLDENS = Path(__file__).parents[1] / "goldens" / "metrics"

Map = npt.NDArray[Any]


def unisal_frames() -> tuple[dict[str, Any], list[tuple[Map, Map, Map, Map]]]:
    """What the golden describes: density, ground truth, fixations and those of others."""
    golden = json.loads((GOLDENS / "unisal.json").read_text())
    height, width, phase = golden["H"], golden["W"], golden["ph"]
    y, x = np.mgrid[:height, :width]
    frames = []
    for t in range(golden["frames"]):
        raw = 2 * np.sin(0.09 * x + 0.4 * t + phase) + 1.5 * np.cos(0.13 * y - 0.2 * t)
        raw = (raw + 0.3 * np.sin(0.0031 * x * y)).astype(np.float32).astype(np.float64)
        cx = width * (0.5 + 0.25 * np.sin(0.7 * t + phase))
        cy = height * (0.5 + 0.2 * np.cos(0.9 * t + phase))
        far = ((x - cx) / (0.12 * width)) ** 2 + ((y - cy) / (0.15 * height)) ** 2
        g = np.exp(-far / 2)
        fixated = ((7 * x + 13 * y + 29 * t) % 211 < 1) & (g > 0.3)
        other = (5 * x + 11 * y + 17 * t) % 97 < 2
        frames.append((np.exp(raw - raw.max()), np.round(255 * g), fixated, other))
    return golden, frames


def test_unisal_protocol_equals_its_golden() -> None:
    golden, frames = unisal_frames()
    columns = {"KLD": "kld", "NSS": "nss", "CC": "cc", "SIM": "sim", "AUC-Judd": "aucj"}
    legacy = np.random.RandomState(0)
    unused = np.random.default_rng(0)
    for t, (saliency, density, fixations, other) in enumerate(frames):
        truth, expected = GroundTruth(fixations, density), golden["results_per_frame"]
        for name, column in columns.items():
            found = measure(protocol("unisal"), name)(saliency, truth, rng=unused)
            tolerance = 1e-6 if name == "AUC-Judd" else 1e-5
            assert found == pytest.approx(expected[column][t], rel=tolerance, abs=tolerance), name
        pool, n = np.flatnonzero(other), int(fixations.sum())
        samples = np.stack([legacy.permutation(pool)[:n] for _ in range(100)])
        shuffled = metrics.area_of_samples(saliency, fixations, samples, limit="excluded")
        assert shuffled == pytest.approx(expected["aucs"][t], abs=1e-6)


def test_unisal_shuffled_auc_lies_near_its_golden() -> None:
    golden, frames = unisal_frames()
    for t, (saliency, _, fixations, other) in enumerate(frames):
        found = measure(protocol("unisal"), "s-AUC")(
            saliency, GroundTruth(fixations, negatives=other), rng=np.random.default_rng(0)
        )
        assert found == pytest.approx(golden["results_per_frame"]["aucs"][t], abs=0.02)


def test_salema_protocol_equals_its_golden() -> None:
    golden = json.loads((GOLDENS / "salema.json").read_text())
    salema, columns = protocol("salema"), {"AUC-Judd": "AUC_Judd"}
    with np.load(GOLDENS / "salema.npz") as data:
        for k, expected in enumerate(golden["frames"]):
            raw = GroundTruth(data[f"fix_u8_{k}"], data[f"gt_u8_{k}"], data["other_map_u8"])
            truth = prepare_truth(salema.preparation, raw)
            size = data[f"fix_u8_{k}"].shape
            saliency = prepare(salema.preparation, data[f"pred_u8_{k}"], size)
            assert truth.fixations is not None
            assert truth.negatives is not None
            assert truth.fixations.sum() == expected["n_fix_after_halving"]
            assert truth.negatives.sum() == expected["n_other_after_halving"]
            for name in ("AUC-Judd", "NSS", "CC", "SIM"):
                value = measure(salema, name)(saliency, truth, rng=np.random.default_rng(0))
                wanted = expected[columns.get(name, name)]
                assert value == pytest.approx(wanted, abs=1e-6), name
            shuffled = [
                measure(salema, "s-AUC")(saliency, truth, rng=np.random.default_rng(seed))
                for seed in range(5)
            ]
            wanted = expected["AUC_shuffled_mean_of_5_seeds"]
            assert np.mean(shuffled) == pytest.approx(
                wanted, abs=golden["tolerance"]["AUC_shuffled"]
            )


def test_tempsal_metrics_equal_their_golden() -> None:
    values = json.loads((GOLDENS / "tempsal.json").read_text())["values"]
    tempsal, rng = protocol("tempsal"), np.random.default_rng(0)
    columns = {"CC": "cc", "KLD": "kldiv", "SIM": "sim", "NSS": "nss"}
    other_sizes = []
    with np.load(GOLDENS / "tempsal.npz") as data:
        for k in range(2):
            truth = GroundTruth(data["fix"][k], data["gt"][k])
            for name, column in columns.items():
                found = measure(tempsal, name)(data["pred"][k], truth, rng=rng)
                assert found == pytest.approx(values[f"{column}_per_sample"][k], rel=1e-5), name
            area = metrics.auc_judd(data["pred"][k], data["fix"][k], ties="listed", lag=1)
            assert area == pytest.approx(values[f"auc_judd_sample{k}_no_jitter"], abs=1e-6)
            fixations = data["fix_other_size"][k]
            resized = prepare(tempsal.preparation, data["pred"][k], fixations.shape)
            other_sizes.append(measure(tempsal, "NSS")(resized, GroundTruth(fixations), rng=rng))
    assert np.mean(other_sizes) == pytest.approx(values["nss_other_size"], rel=1e-5)
