"""The published variants of the metrics: goldens of the originals, loops, and what edges give."""

import json
import math
import warnings
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
from salcli.protocols import protocol
from salcli.protocols.preparation import GroundTruth, prepare, prepare_truth
from salcli.protocols.scorer import measure

GOLDENS = Path(__file__).parent / "goldens" / "metrics"
SHAPE = (5, 7)
CASES = range(20)
few = settings(max_examples=50)

Map = npt.NDArray[Any]

maps = arrays(np.float64, SHAPE, elements=st.integers(0, 20).map(lambda n: n / 4))
varied_maps = maps.filter(lambda p: p.min() < p.max())
fixation_counts = arrays(np.int64, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 3])).filter(
    lambda f: 0 < np.count_nonzero(f) < f.size
)


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


@few
@given(varied_maps, fixation_counts, fixation_counts)
def test_monotone_maps_change_no_exact_area(p: Map, fixations: Map, others: Map) -> None:
    for transformed in (3 * p + 1, np.exp(p), np.sqrt(p)):
        assert metrics.auc(transformed, fixations) == metrics.auc(p, fixations)
        assert metrics.shuffled_auc(transformed, fixations, others) == metrics.shuffled_auc(
            p, fixations, others
        )
        variants: list[dict[str, Any]] = [{"ties": "listed"}, {"repeats": True}, {"decimals": 4}]
        for variant in variants:
            changed = metrics.auc_judd(transformed, fixations, **variant)
            assert changed == metrics.auc_judd(p, fixations, **variant)


@few
@given(varied_maps, fixation_counts, st.integers(0, 1), st.booleans())
def test_affine_maps_change_no_nss(p: Map, fixations: Map, ddof: int, repeats: bool) -> None:
    expected = metrics.nss(p, fixations, ddof=ddof, repeats=repeats)
    assert metrics.nss(3 * p + 7, fixations, ddof=ddof, repeats=repeats) == pytest.approx(
        expected, abs=1e-9
    )
    assert metrics.nss(-p, fixations, ddof=ddof, repeats=repeats) == pytest.approx(
        -expected, abs=1e-9
    )


@few
@given(varied_maps, varied_maps, st.booleans(), st.sampled_from([0.0, 1e-7]))
def test_cc_and_sim_are_symmetric(p: Map, q: Map, stretch: bool, epsilon: float) -> None:
    assert metrics.cc(p, q, epsilon=epsilon) == pytest.approx(metrics.cc(q, p, epsilon=epsilon))
    one, other = (metrics.sim(*both, stretch=stretch, epsilon=epsilon) for both in ((p, q), (q, p)))
    assert one == pytest.approx(other)


@few
@given(varied_maps, fixation_counts)
def test_swapping_positives_and_negatives_mirrors_the_area(p: Map, fixations: Map) -> None:
    others = np.roll(fixations, 1)
    area = metrics.shuffled_auc(p, fixations, others)
    assert metrics.shuffled_auc(p, others, fixations) == pytest.approx(1 - area)
    assert metrics.shuffled_auc(-p, fixations, others) == pytest.approx(1 - area)


@few
@given(fixation_counts)
def test_a_perfect_map_reaches_the_bounds(fixations: Map) -> None:
    perfect, nowhere = np.minimum(fixations, 1).astype(float), np.where(fixations > 0, 0, 1)
    share = 1 - np.count_nonzero(fixations) / fixations.size / 2
    assert metrics.auc(perfect, fixations) == pytest.approx(share)
    assert metrics.shuffled_auc(perfect, fixations, nowhere) == 1
    assert metrics.auc_judd(perfect, fixations) == 1
    assert metrics.ig(perfect, fixations, perfect) == 0
    assert metrics.ig(perfect, fixations, np.ones(SHAPE)) > 0


@few
@given(fixation_counts, fixation_counts, st.sampled_from([0.0, 0.1, 7.0]))
def test_a_constant_map_is_worth_chance_without_a_warning(
    fixations: Map, others: Map, value: float
) -> None:
    constant = np.full(SHAPE, value)
    truth = GroundTruth(fixations, np.arange(35.0).reshape(SHAPE), others, np.ones(SHAPE))
    expected = {"AUC": 0.5, "s-AUC": 0.5, "NSS": 0.0, "CC": 0.0, "IG": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in protocol("tuebingen").published:
            found = measure(protocol("tuebingen"), name)(
                constant, truth, rng=np.random.default_rng(0)
            )
            assert found == pytest.approx(expected.get(name, found))
            assert not math.isnan(found)
        assert metrics.auc_borji(constant, fixations, rng=np.random.default_rng(0)) == 0.5


def test_a_prediction_of_zero_where_somebody_looked_is_infinitely_wrong() -> None:
    p, fixations = np.array([[0.0, 1], [1, 2]]), np.array([[1, 0], [0, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.ig(p, fixations, np.ones((2, 2))) == -math.inf
        assert metrics.kld(p, fixations, epsilon=0.0) == math.inf
    assert math.isfinite(metrics.ig(p, fixations, np.ones((2, 2)), epsilon=2**-52))


def test_maps_below_zero_are_shifted() -> None:
    p, q = np.array([[-1.0, 0], [2, 3]]), np.array([[1.0, 1], [0, 2]])
    assert metrics.sim(p, q) == metrics.sim(p + 1, q)
    assert metrics.kld(p, q) == metrics.kld(p + 1, q)
    assert metrics.ig(p, q, q) == metrics.ig(p + 1, q, q)


def test_similarity_of_maps_without_a_range() -> None:
    q = np.arange(6.0).reshape(2, 3)
    assert metrics.sim(np.zeros((2, 3)), q, stretch=True) == 0
    assert math.isnan(metrics.sim(np.ones((2, 3)), q, stretch=True))


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
