"""The published variants of the metrics equal plain loops."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from salcli import metrics
from salcli.protocols import protocol
from salcli.protocols.preparation import GroundTruth
from salcli.protocols.scorer import measure

CASES = range(20)

Map = npt.NDArray[Any]


def random_case(seed: int) -> tuple[Map, Map, Map, Map]:
    """A map with ties, fixations with repeats, those of others, and a density."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(4, 12)), int(rng.integers(4, 12)))
    saliency = rng.integers(0, 12, size) / 4
    saliency.flat[0], saliency.flat[1] = 0, 5
    fixations, others = (np.zeros(size, int) for _ in range(2))
    for map_, n in ((fixations, rng.integers(1, 9)), (others, rng.integers(1, 20))):
        np.add.at(map_.ravel(), rng.integers(0, map_.size, n), 1)
    return saliency, fixations, others, rng.random(size) + 0.01


def listed(saliency: Map, counts: Map) -> list[float]:
    """Saliency of every fixation, one by one."""
    found = []
    for y in range(counts.shape[0]):
        for x in range(counts.shape[1]):
            for _ in range(int(counts[y, x])):
                found.append(float(saliency[y, x]))
    return found


def chance_of_being_higher(positives: list[float], negatives: list[float]) -> float:
    wins = 0.0
    for positive in positives:
        for negative in negatives:
            wins += 1.0 if positive > negative else 0.5 if positive == negative else 0.0
    return wins / (len(positives) * len(negatives))


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))


@pytest.mark.parametrize("seed", CASES)
def test_tuebingen_equals_textbook_loops(seed: int) -> None:
    saliency, fixations, others, density = random_case(seed)
    tuebingen, rng = protocol("tuebingen"), np.random.default_rng(0)
    truth = GroundTruth(fixations, density, others, baseline=density[::-1])
    pixels = [float(v) for row in saliency for v in row]
    q = [float(v) for row in density for v in row]
    b = [float(v) for row in density[::-1] for v in row]
    positives = listed(saliency, fixations)
    mean, deviation = mean_and_deviation(pixels)
    mean_q, deviation_q = mean_and_deviation(q)
    p_sum, q_sum, b_sum, eps = sum(pixels), sum(q), sum(b), 2**-52
    products = sum((p - mean) * (v - mean_q) for p, v in zip(pixels, q, strict=True))
    pairs = [(p / p_sum, v / q_sum) for p, v in zip(pixels, q, strict=True)]
    gains = [
        math.log2(p / p_sum) - math.log2(chance / b_sum)
        for p, chance in zip(positives, listed(density[::-1], fixations), strict=True)
        if p > 0
    ]
    expected = {
        "AUC": chance_of_being_higher(positives, pixels),
        "s-AUC": chance_of_being_higher(positives, listed(saliency, others)),
        "NSS": sum((v - mean) / deviation for v in positives) / len(positives),
        "CC": products / len(q) / (deviation * deviation_q),
        "SIM": sum(min(p, v) for p, v in pairs),
        "KLD": sum(v * math.log(eps + v / (p + eps)) for p, v in pairs),
        "IG": sum(gains) / len(gains) if len(gains) == len(positives) else -math.inf,
    }

    assert set(expected) == set(tuebingen.published)
    for name, value in expected.items():
        found = measure(tuebingen, name)(saliency, truth, rng=rng)
        assert found == pytest.approx(value, abs=1e-12), name


def looped_judd(saliency: Map, fixations: Map, *, repeats: bool, others: int, lag: int) -> float:
    """The MATLAB code, line by line; every fixation is a threshold."""
    positives = listed(saliency, fixations if repeats else np.minimum(fixations, 1))
    points = [(0.0, 0.0)]
    for k, threshold in enumerate(sorted(positives, reverse=True), start=1):
        above = sum(float(v) >= threshold for v in saliency.ravel())
        points.append(((above - k + lag) / others, k / len(positives)))
    points.append((1.0, 1.0))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


@pytest.mark.parametrize("seed", CASES)
def test_judd_variants_equal_their_loops(seed: int) -> None:
    saliency, fixations, _, _ = random_case(seed)
    unfixated = int((fixations == 0).sum())
    rng = np.random.default_rng(0)

    matlab = metrics.auc_judd(saliency, fixations, ties="listed")
    ntire = measure(protocol("ntire"), "AUC-Judd")(saliency, GroundTruth(fixations), rng=rng)
    late = metrics.auc_judd(saliency, fixations, ties="listed", lag=1)
    expected = [
        looped_judd(saliency, fixations, repeats=False, others=unfixated, lag=0),
        looped_judd(saliency, fixations, repeats=True, others=saliency.size - 2, lag=0),
        looped_judd(saliency, fixations, repeats=False, others=unfixated, lag=1),
    ]

    assert [matlab, ntire, late] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", CASES)
def test_ntire_equals_its_code_in_loops(seed: int) -> None:
    saliency, fixations, _, density = random_case(seed)
    saliency = saliency / 5
    p, q = ([float(v) for v in map_.ravel()] for map_ in (saliency, density))
    (mean_p, dev_p), (mean_q, dev_q) = mean_and_deviation(p), mean_and_deviation(q)
    z_p = [(v - mean_p) / (dev_p + 1e-7) for v in p]
    z_q = [(v - mean_q) / (dev_q + 1e-7) for v in q]
    product = sum(a * b for a, b in zip(z_p, z_q, strict=True))
    power = sum(a * a for a in z_p) * sum(b * b for b in z_q) + 1e-7
    at = listed(saliency, fixations)
    sums = sum(p) + 1e-7, sum(q) + 1e-7
    expected = {
        "CC": product / math.sqrt(power),
        "NSS": sum((v - mean_p) / (dev_p + 1e-7) for v in at) / len(at),
        "SIM": sum(min(a / sums[0], b / sums[1]) for a, b in zip(p, q, strict=True)),
    }

    for name, value in expected.items():
        found = measure(protocol("ntire"), name)(
            saliency, GroundTruth(fixations, density), rng=np.random.default_rng(0)
        )
        assert found == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("seed", CASES)
def test_mit_similarity_and_gain_equal_their_loops(seed: int) -> None:
    saliency, fixations, _, density = random_case(seed)
    spread = [
        [(float(v) - float(map_.min())) / float(map_.max() - map_.min()) for v in map_.ravel()]
        for map_ in (saliency, density)
    ]
    p, q = ([v / sum(side) for v in side] for side in spread)
    fixated = [i for i, f in enumerate(fixations.ravel()) if f]
    gains = [math.log2(2**-52 + p[i]) - math.log2(2**-52 + q[i]) for i in fixated]
    truth = GroundTruth(fixations, density, baseline=density)

    values = [
        measure(protocol("mit"), name)(saliency, truth, rng=np.random.default_rng(0))
        for name in ("SIM", "IG")
    ]

    expected = [sum(min(a, b) for a, b in zip(p, q, strict=True)), sum(gains) / len(gains)]
    assert values == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("limit", ["included", "excluded"])
@pytest.mark.parametrize("seed", CASES)
def test_areas_of_samples_equal_their_loops(seed: int, limit: Any) -> None:
    saliency, fixations, others, _ = random_case(seed)
    rng = np.random.default_rng(seed)
    samples = rng.choice(np.flatnonzero(others), size=(7, 5))
    p = [(float(v) - float(saliency.min())) / 5 for v in saliency.ravel()]
    positives = [p[i] for i in np.flatnonzero(fixations)]
    areas = []
    for sample in samples:
        drawn = [p[i] for i in sample]
        largest = max(positives + drawn)
        steps = [k * 0.1 for k in range(12)]
        kept = [t for t in steps if t < largest or (t == largest and limit == "included")]
        points = [(0.0, 0.0)]
        for t in reversed(kept):
            alarms = sum(v >= t for v in drawn) / 9
            points.append((alarms, sum(v >= t for v in positives) / len(positives)))
        points.append((1.0, 1.0))
        areas.append(sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points)))

    found = metrics.area_of_samples(saliency, fixations, samples, limit=limit, over=9)

    assert found == pytest.approx(sum(areas) / len(areas), abs=1e-12)


def test_sampled_areas_approach_the_exact_one() -> None:
    rng = np.random.default_rng(3)
    saliency = rng.random((40, 50))
    fixations, others = (np.zeros((40, 50), int) for _ in range(2))
    fixations.flat[rng.choice(np.flatnonzero(saliency > 0.4), 60, replace=False)] = 1
    others.flat[rng.choice(2000, 400, replace=False)] = 1

    exact = metrics.shuffled_auc(saliency, fixations, others)
    sampled = metrics.shuffled_auc_sampled(
        saliency, fixations, others, step=0.001, splits=400, rng=np.random.default_rng(0)
    )
    borji = metrics.auc_borji(saliency, fixations, step=0.001, rng=np.random.default_rng(0))

    assert sampled == pytest.approx(exact, abs=0.005)
    assert borji == pytest.approx(metrics.auc(saliency, fixations), abs=0.02)
    all_of_them = metrics.shuffled_auc_sampled(
        saliency, fixations, fixations, step=0.001, splits=1, rng=np.random.default_rng(0)
    )
    assert all_of_them == pytest.approx(0.5, abs=1e-12)


def test_a_sample_smaller_than_the_fixations_is_divided_as_asked() -> None:
    saliency = np.arange(12.0).reshape(3, 4)
    fixations = (saliency > 7).astype(int)
    others = np.zeros((3, 4), int)
    others[0, 3] = 1
    rng = np.random.default_rng(0)

    by_sample = metrics.shuffled_auc_sampled(saliency, fixations, others, rng=rng)
    by_fixations = metrics.shuffled_auc_sampled(
        saliency, fixations, others, denominator="fixations", rng=rng
    )

    assert by_sample == 1  # the lone negative lies below all four
    assert by_fixations == 1
    flat = metrics.shuffled_auc_sampled(
        np.ones((3, 4)), fixations, others, denominator="fixations", rng=rng
    )
    assert flat == pytest.approx(0.5 * 0.25 + 0.75)  # one of four alarms at the only threshold


def test_single_precision_keeps_ties_away_from_zero() -> None:
    saliency = np.repeat(np.arange(0.0, 250, 50), 20).reshape(10, 10)
    fixations = np.zeros((10, 10), int)
    fixations[::3, ::4] = 1
    expected = metrics.auc_judd(saliency[2:], fixations[2:], ties="listed")

    found = [
        metrics.auc_judd(
            saliency[2:],
            fixations[2:],
            ties="listed",
            jitter=1e-7,
            single=True,
            rng=np.random.default_rng(seed),
        )
        for seed in range(3)
    ]
    in_double = metrics.auc_judd(
        saliency[2:], fixations[2:], ties="listed", jitter=1e-7, rng=np.random.default_rng(0)
    )

    assert found == [expected] * 3
    assert in_double != expected


def test_jitter_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="rng="):
        metrics.auc_judd(np.arange(4.0).reshape(2, 2), np.eye(2), jitter=1e-7)


def test_jitter_is_repeatable_and_small() -> None:
    saliency, fixations, _, _ = random_case(1)
    first, again, other = (
        metrics.auc_judd(saliency, fixations, jitter=1e-7, rng=np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    assert first == again != other
    untied = np.random.default_rng(0).permutation(saliency.size).reshape(saliency.shape)
    assert metrics.auc_judd(
        untied, fixations, ties="listed", jitter=1e-7, rng=np.random.default_rng(0)
    ) == metrics.auc_judd(untied, fixations)
