"""The metrics against loops that say what each one means, against the golden, and their laws."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from salcli import metrics
from salcli.plugins import registry
from salcli.specs import resolve

GOLDENS = Path(__file__).parent / "goldens" / "metrics"
SHAPE = (5, 7)
few = settings(max_examples=50)
DENSITY_METRICS = (metrics.cc, metrics.sim, metrics.kld)
FIXATION_METRICS = (metrics.nss, metrics.auc_judd)

Map = npt.NDArray[Any]

maps = arrays(np.float64, SHAPE, elements=st.integers(0, 20).map(lambda n: n / 4))
varied_maps = maps.filter(lambda p: p.min() < p.max())
fixation_maps = arrays(np.bool_, SHAPE).filter(lambda f: 0 < f.sum() < f.size)


def looped_cc(p: Map, q: Map) -> float:
    pairs = [(float(a), float(b)) for a, b in zip(p.ravel(), q.ravel(), strict=True)]
    mean_p = sum(a for a, _ in pairs) / len(pairs)
    mean_q = sum(b for _, b in pairs) / len(pairs)
    covariance = sum((a - mean_p) * (b - mean_q) for a, b in pairs)
    variance_p = sum((a - mean_p) ** 2 for a, _ in pairs)
    variance_q = sum((b - mean_q) ** 2 for _, b in pairs)
    return covariance / math.sqrt(variance_p * variance_q)


def looped_nss(p: Map, fixated: Map) -> float:
    values = [float(a) for a in p.ravel()]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((a - mean) ** 2 for a in values) / (len(values) - 1))
    chosen = [
        (float(a) - mean) / deviation for a, f in zip(p.ravel(), fixated.ravel(), strict=True) if f
    ]
    return sum(chosen) / len(chosen)


def looped_sim(p: Map, q: Map) -> float:
    pairs = zip(p.ravel() / p.sum(), q.ravel() / q.sum(), strict=True)
    return sum(min(float(a), float(b)) for a, b in pairs)


def looped_kld(p: Map, q: Map) -> float:
    total = 0.0
    for a, b in zip(p.ravel() / p.sum(), q.ravel() / q.sum(), strict=True):
        total += b * math.log(2**-52 + b / (a + 2**-52))
    return total


def looped_auc(p: Map, fixated: Map) -> float:
    """Chance that a fixated pixel is above one that is not, where ties are worth a half; ROC
    curves through thresholds at fixations only join points that lie between by straight lines."""
    positives = [float(a) for a, f in zip(p.ravel(), fixated.ravel(), strict=True) if f]
    negatives = [float(a) for a, f in zip(p.ravel(), fixated.ravel(), strict=True) if not f]
    points = [(0.0, 0.0)]
    for threshold in sorted(set(positives), reverse=True):
        hits = sum(a >= threshold for a in positives) / len(positives)
        alarms = sum(a >= threshold for a in negatives) / len(negatives)
        points.append((alarms, hits))
    points.append((1.0, 1.0))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


@few
@given(varied_maps, varied_maps)
def test_density_metrics_equal_their_loops(p: Map, q: Map) -> None:
    assert metrics.cc(p, q) == pytest.approx(looped_cc(p, q), abs=1e-12)
    assert metrics.sim(p, q) == pytest.approx(looped_sim(p, q), abs=1e-12)
    assert metrics.kld(p, q) == pytest.approx(looped_kld(p, q), abs=1e-12)


@few
@given(varied_maps, fixation_maps)
def test_fixation_metrics_equal_their_loops(p: Map, fixated: Map) -> None:
    assert metrics.nss(p, fixated) == pytest.approx(looped_nss(p, fixated), abs=1e-12)
    assert metrics.auc_judd(p, fixated) == pytest.approx(looped_auc(p, fixated), abs=1e-12)


@few
@given(varied_maps, varied_maps, fixation_maps, st.floats(1e-3, 1e3))
def test_scale_of_the_saliency_map_does_not_matter(
    p: Map, q: Map, fixated: Map, factor: float
) -> None:
    for metric in DENSITY_METRICS:
        assert metric(factor * p, q) == pytest.approx(metric(p, q), abs=1e-9)
        assert metric(p, factor * q) == pytest.approx(metric(p, q), abs=1e-9)
    assert metrics.nss(factor * p, fixated) == pytest.approx(metrics.nss(p, fixated), abs=1e-9)


@few
@given(varied_maps, fixation_maps)
def test_monotone_transforms_leave_the_area_under_the_curve(p: Map, fixated: Map) -> None:
    expected = metrics.auc_judd(p, fixated)
    for transformed in (3 * p + 1, np.exp(p), np.sqrt(p), p**3, p.astype(np.float32)):
        assert metrics.auc_judd(transformed, fixated) == expected


@few
@given(varied_maps, varied_maps, fixation_maps)
def test_values_lie_in_their_ranges(p: Map, q: Map, fixated: Map) -> None:
    assert -1 - 1e-12 <= metrics.cc(p, q) <= 1 + 1e-12
    assert 0 <= metrics.sim(p, q) <= 1 + 1e-12
    assert metrics.kld(p, q) >= -1e-12
    assert 0 <= metrics.auc_judd(p, fixated) <= 1


@few
@given(varied_maps)
def test_the_truth_itself_is_the_best_map(q: Map) -> None:
    assert metrics.cc(q, q) == pytest.approx(1)
    assert metrics.cc(q.max() - q, q) == pytest.approx(-1)
    assert metrics.sim(q, q) == pytest.approx(1)
    assert metrics.kld(q, q) == pytest.approx(0, abs=1e-9)


@few
@given(fixation_maps)
def test_a_map_of_the_fixations_separates_perfectly(fixated: Map) -> None:
    assert metrics.auc_judd(fixated.astype(float), fixated) == 1
    assert metrics.auc_judd(1 - fixated.astype(float), fixated) == pytest.approx(0.5, abs=0.5)
    assert metrics.nss(fixated.astype(float), fixated) > 0


@few
@given(fixation_maps, st.sampled_from([0.0, 0.1, 0.3, 7.0]))
def test_a_constant_map_knows_nothing(fixated: Map, value: float) -> None:
    constant = np.full(SHAPE, value)
    assert metrics.auc_judd(constant, fixated) == 0.5
    assert math.isnan(metrics.nss(constant, fixated))
    assert math.isnan(metrics.cc(constant, fixated))
    assert math.isnan(metrics.cc(fixated, constant))
    uniform = np.ones(SHAPE)
    assert metrics.sim(constant, fixated) == pytest.approx(metrics.sim(uniform, fixated))
    assert metrics.kld(constant, fixated) == pytest.approx(metrics.kld(uniform, fixated))


def test_without_ground_truth_nothing_is_defined() -> None:
    p, nothing = np.arange(35.0).reshape(SHAPE), np.zeros(SHAPE)
    for metric in (*DENSITY_METRICS, *FIXATION_METRICS):
        assert math.isnan(metric(p, nothing))
    assert math.isnan(metrics.auc_judd(p, np.ones(SHAPE)))


@pytest.mark.parametrize("metric", [*DENSITY_METRICS, *FIXATION_METRICS])
def test_other_shapes_are_refused(metric: Any) -> None:
    for first, second in (((5, 7), (7, 5)), ((5, 7), (5, 8)), ((5,), (5,)), ((1, 5, 7), (1, 5, 7))):
        with pytest.raises(ValueError, match="one shape"):
            metric(np.ones(first), np.ones(second))


def test_several_fixations_of_a_pixel_count_once() -> None:
    p = np.arange(35.0).reshape(SHAPE)
    fixated = np.zeros(SHAPE)
    fixated[1, 2], fixated[4, 6] = 1, 5
    for metric in FIXATION_METRICS:
        assert metric(p, fixated) == metric(p, fixated > 0)


def golden_case() -> tuple[dict[str, Any], list[tuple[Map, Map, Map]]]:
    """What the golden describes: predicted density, ground-truth density, fixations per frame."""
    golden = json.loads((GOLDENS / "unisal-frames.json").read_text())
    height, width, phase = golden["H"], golden["W"], golden["ph"]
    y, x = np.mgrid[:height, :width]
    frames = []
    for t in range(golden["frames"]):
        raw = 2 * np.sin(0.09 * x + 0.4 * t + phase) + 1.5 * np.cos(0.13 * y - 0.2 * t)
        raw = (raw + 0.3 * np.sin(0.0031 * x * y)).astype(np.float32).astype(np.float64)
        p = np.exp(raw - raw.max())
        cx = width * (0.5 + 0.25 * np.sin(0.7 * t + phase))
        cy = height * (0.5 + 0.2 * np.cos(0.9 * t + phase))
        g = np.exp(
            -(
                (x - cx) ** 2 / (2 * (0.12 * width) ** 2)
                + (y - cy) ** 2 / (2 * (0.15 * height) ** 2)
            )
        )
        fixated = ((7 * x + 13 * y + 29 * t) % 211 < 1) & (g > 0.3)
        frames.append((p / p.sum(), np.round(255 * g), fixated))
    return golden, frames


def test_metrics_equal_the_golden_where_the_definitions_agree() -> None:
    golden, frames = golden_case()
    expected = golden["results_per_frame"]
    for t, (p, q, fixated) in enumerate(frames):
        assert fixated.sum() == expected["n_fixations"][t]
        assert metrics.sim(p, q) == pytest.approx(expected["sim"][t], abs=1e-5)
        assert metrics.cc(p, q) == pytest.approx(expected["cc"][t], abs=1e-5)
        assert metrics.nss(p, fixated) == pytest.approx(expected["nss"][t], abs=1e-5)
        assert metrics.kld(p, q) == pytest.approx(expected["kld"][t], rel=1e-5)
        assert metrics.auc_judd(p, fixated) == pytest.approx(expected["aucj"][t], abs=2e-4)


def test_every_registered_metric_can_be_called_and_knows_its_direction() -> None:
    q = np.arange(1.0, 36).reshape(SHAPE)
    fixated = q > 30
    more = {"negatives": q < 20, "baseline": np.ones(SHAPE)}
    for metric in registry.metrics().values():
        function = resolve(metric.function)
        truths = [q if metric.needs == "density" else fixated]
        truths += [more[metric.also]] if metric.also else []
        random = {"rng": np.random.default_rng(0)} if metric.name == "AUC-Borji" else {}
        good, bad = (function(p, *truths, **random) for p in (q, q[::-1, ::-1]))
        assert (good > bad) == metric.higher_is_better


def test_a_training_measures_what_takes_a_map_and_one_kind_of_truth() -> None:
    measured = [metric for metric in registry.metrics().values() if metric.validates]
    assert [metric.name for metric in measured] == ["CC", "NSS", "AUC-Judd", "SIM", "KLD"]
    assert not any(metric.also for metric in measured)


@pytest.mark.parametrize("metric", [*DENSITY_METRICS, *FIXATION_METRICS, metrics.auc])
def test_not_a_number_is_refused(metric: Any) -> None:
    spoilt = np.ones(SHAPE)
    spoilt[2, 3] = math.nan
    with pytest.raises(ValueError, match="saliency map has NaN at 1 pixels"):
        metric(spoilt, np.eye(*SHAPE))
    with pytest.raises(ValueError, match="ground truth has NaN at 1 pixels"):
        metric(np.ones(SHAPE), spoilt)
