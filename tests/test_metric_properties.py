"""Laws that the metrics obey for any map, and what edges give."""

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from salcli import metrics
from salcli.protocols import protocol
from salcli.protocols.preparation import GroundTruth
from salcli.protocols.scorer import measure

SHAPE = (5, 7)
few = settings(max_examples=50)

Map = npt.NDArray[Any]

maps = arrays(np.float64, SHAPE, elements=st.integers(0, 20).map(lambda n: n / 4))
varied_maps = maps.filter(lambda p: p.min() < p.max())
fixation_counts = arrays(np.int64, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 3])).filter(
    lambda f: 0 < np.count_nonzero(f) < f.size
)


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
