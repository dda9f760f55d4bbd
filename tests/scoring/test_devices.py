"""Metrics of tensors, as they are computed where there is a GPU, equal those of numpy arrays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from salcli import metrics
from salcli.plugins import registry
from salcli.protocols import protocol
from salcli.protocols.preparation import GroundTruth
from salcli.protocols.scorer import Scorer

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
    ),
]
SIZE = (24, 32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", list(registry.protocols()))
def test_every_protocol_gives_the_same_on_tensors(name: str, device: str) -> None:
    chosen = protocol(name)
    every = [variant.metric for variant in chosen.variants]
    on_host, there = (
        Scorer(chosen, every, seed=3, device=each) for each in (None, torch.device(device))
    )
    for case in range(5):
        rng = np.random.default_rng(case)
        fixations, negatives = (rng.poisson(rate, SIZE) for rate in (0.03, 0.2))
        saliency = np.float32(rng.integers(0, 40, SIZE) / 40)  # with ties
        truth = GroundTruth(fixations, rng.random(SIZE), negatives, rng.random(SIZE))

        expected = on_host.frame(saliency, truth, key=str(case))

        assert there.frame(saliency, truth, key=str(case)) == pytest.approx(
            expected, rel=1e-12, abs=1e-12, nan_ok=True
        )


def test_edges_give_the_same_on_tensors() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.random(SIZE), np.zeros(SIZE), np.full(SIZE, 0.5), rng.random(SIZE) - 2]
    truths = [np.zeros(SIZE), rng.random(SIZE), np.ones(SIZE)]
    points = [np.zeros(SIZE, int), rng.poisson(0.05, SIZE), np.ones(SIZE, int)]
    for saliency in maps:
        for metric, others in (
            *((metric, truths) for metric in (metrics.cc, metrics.sim, metrics.kld)),
            *((metric, points) for metric in (metrics.nss, metrics.auc_judd, metrics.auc)),
        ):
            for other in others:
                found = metric(torch.from_numpy(saliency), torch.from_numpy(other))
                assert found == pytest.approx(metric(saliency, other), rel=1e-12, nan_ok=True)


def test_a_metric_of_a_plugin_gets_numpy_arrays_also_where_there_is_a_device(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_metric"))
    saliency = np.random.default_rng(0).random(SIZE)
    truth = GroundTruth(fixations=(saliency == saliency.max()).astype(int), density=saliency)
    scorer = Scorer(protocol("tuebingen"), ["CC", "peak"], device=torch.device("cpu"))

    values = scorer.frame(saliency, truth, key="a")

    assert values == pytest.approx({"CC": 1.0, "peak": saliency.max()})


def test_a_tensor_with_nan_is_refused_like_an_array() -> None:
    with pytest.raises(ValueError, match="NaN at 3 pixels"):
        metrics.cc(torch.full((1, 3), torch.nan), torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"not \(1, 3\), \(3, 1\)"):
        metrics.cc(torch.ones(1, 3), torch.ones(3, 1))
