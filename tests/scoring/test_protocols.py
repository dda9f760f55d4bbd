"""Protocols: complete descriptions, carried out as they say, whatever the order of the frames."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from salcli.errors import PluginError, UnknownName
from salcli.plugins import registry
from salcli.protocols import Negatives, Preparation, protocol
from salcli.protocols.preparation import GroundTruth, prepare, prepare_truth
from salcli.protocols.scorer import Scorer, measure

SIZE = (24, 32)

Map = npt.NDArray[Any]

NAMES = list(registry.protocols())


def example(seed: int = 0, size: tuple[int, int] = SIZE) -> tuple[Map, GroundTruth]:
    """A predicted map in [0, 1], and all that can be known of a frame."""
    rng = np.random.default_rng(seed)
    fixations, negatives = (rng.poisson(rate, size) for rate in (0.03, 0.2))
    saliency = rng.random(size) + fixations / 4
    truth = GroundTruth(fixations, rng.random(size), negatives, np.ones(size))
    return (saliency / saliency.max()).astype(np.float32), truth


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_measures_all_that_it_defines(name: str) -> None:
    saliency, truth = example()
    every = [variant.metric for variant in protocol(name).variants]
    scorer = Scorer(protocol(name), every)

    values = scorer.frame(saliency, truth, key="a")

    assert list(values) == every
    assert all(math.isfinite(value) for value in values.values())
    assert set(protocol(name).published) <= set(every)
    assert list(Scorer(protocol(name)).frame(saliency, truth, key="a")) == list(
        protocol(name).published
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_states_all_its_settings(name: str) -> None:
    each = protocol(name)
    statement = json.loads(json.dumps(Scorer(each, seed=7).statement(), allow_nan=False))

    assert statement["seed"] == 7
    assert statement["name"] == each.name
    assert statement["version"]
    assert statement["averaging"]
    assert statement["preparation"]["resize"] == each.preparation.resize
    assert bool(statement["negatives"]) == ("s-AUC" in each.published)
    for variant in each.variants:
        stated = measure(each, variant.metric)
        assert set(variant.settings) <= set(stated.settings), "a setting that nobody takes"
        if variant.published:
            assert set(statement["metrics"][variant.metric]["settings"]) == set(stated.settings)
    judd = statement["metrics"].get("AUC-Judd")
    if judd:
        assert {"jitter", "ties", "repeats"} <= set(judd["settings"])


def test_what_the_four_public_protocols_define() -> None:
    assert protocol("mit").published == (
        *("AUC-Judd", "SIM", "AUC-Borji", "s-AUC", "CC", "NSS", "KLD"),
    )
    assert protocol("dhf1k").published == ("AUC-Judd", "SIM", "s-AUC", "CC", "NSS")
    assert protocol("tuebingen").published == ("IG", "AUC", "s-AUC", "NSS", "CC", "KLD", "SIM")
    assert protocol("ntire").published == ("SIM", "NSS", "CC", "AUC-Judd")
    assert protocol("dhf1k").limit == 50_000
    assert protocol("dhf1k").averaging[0] == "frames"
    assert protocol("salema").averaging[0] == "videos"


def test_unknown_names() -> None:
    with pytest.raises(UnknownName, match="no protocol named 'dhf1'; did you mean dhf1k"):
        protocol("dhf1")
    with pytest.raises(UnknownName, match="no metric of protocol 'ntire' named 's-AUC'"):
        Scorer(protocol("ntire"), ["s-AUC"])
    with pytest.raises(UnknownName, match="no metric named 'NS'; did you mean"):
        Scorer(protocol("ntire"), ["NS"])


def test_a_metric_of_a_plugin_is_measured_with_its_defaults(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_metric"))
    saliency, truth = example()
    assert "peak" in registry.metrics()

    scorer = Scorer(protocol("tuebingen"), ["NSS", "peak"])

    assert scorer.frame(saliency, truth, key="a")["peak"] == pytest.approx(1)
    assert scorer.statement()["metrics"]["peak"]["settings"] == {"factor": 1.0}


def test_a_protocol_of_a_plugin_varies_its_metric(
    install_plugins: Callable[..., None], make_site: Callable[..., Path]
) -> None:
    install_plugins(make_site("salcli_metric"))
    saliency, truth = example()

    assert Scorer(protocol("peaks")).frame(saliency, truth, key="a")["peak"] == pytest.approx(2)
    assert Scorer(protocol("mit"), ["peak"]).measures[0].settings == {"factor": 1.0}
    with pytest.raises(PluginError, match=r"peak' is no protocol named 'no-protocol'"):
        protocol("no-protocol")


def test_random_parts_depend_on_seed_and_frame_alone() -> None:
    saliency, truth = example()
    names = ["AUC-Judd", "AUC-Borji", "s-AUC"]
    every = Scorer(protocol("mit")).frame(saliency, truth, key="a")

    assert {name: every[name] for name in names} == Scorer(protocol("mit"), names).frame(
        saliency, truth, key="a"
    )
    for other in (
        Scorer(protocol("mit")).frame(saliency, truth, key="b"),
        Scorer(protocol("mit"), seed=1).frame(saliency, truth, key="a"),
    ):
        assert other["AUC-Borji"] != every["AUC-Borji"]
        assert other["s-AUC"] != every["s-AUC"]
        assert other["NSS"] == every["NSS"]


def test_what_is_missing_gives_nan() -> None:
    saliency, truth = example()
    nothing = GroundTruth(np.zeros(SIZE, int), truth.density, truth.negatives, truth.baseline)

    for given in (GroundTruth(density=truth.density), nothing):
        values = Scorer(protocol("tuebingen")).frame(saliency, given, key="a")
        undefined = {name for name, value in values.items() if math.isnan(value)}
        assert undefined == {"IG", "AUC", "s-AUC", "NSS"}
    values = Scorer(protocol("tuebingen")).frame(saliency, GroundTruth(truth.fixations), key="a")
    assert {name for name, value in values.items() if not math.isnan(value)} == {"AUC", "NSS"}


def test_a_share_of_the_frames() -> None:
    saliency, truth = example()
    scorer = Scorer(protocol("unisal"))

    shares = scorer.shares("clip", 9)

    assert set(shares) == {"AUC-Judd", "s-AUC"}
    assert shares["s-AUC"] == shares["AUC-Judd"] == scorer.shares("clip", 9)["AUC-Judd"]
    assert len(shares["s-AUC"]) == 4
    assert shares["s-AUC"] < set(range(9))
    assert scorer.shares("image", 1)["s-AUC"] == {0}
    assert Scorer(protocol("mit")).shares("clip", 9) == {}
    values = scorer.frame(saliency, truth, key="a", leave_out=shares)
    assert set(values) == {"KLD", "NSS", "CC", "SIM"}


def test_needs_say_what_must_be_read() -> None:
    assert Scorer(protocol("tuebingen"), ["CC", "SIM"]).needs == {"density"}
    assert Scorer(protocol("tuebingen"), ["s-AUC"]).needs == {"fixations", "negatives"}
    assert Scorer(protocol("tuebingen"), ["IG"]).needs == {"fixations", "baseline"}


@pytest.mark.parametrize("name", NAMES)
def test_wrong_maps_are_refused(name: str) -> None:
    _, truth = example()
    scorer = Scorer(protocol(name))
    with pytest.raises(ValueError, match="NaN at 768 pixels"):
        scorer.frame(np.full(SIZE, math.nan), truth, key="a")
    with pytest.raises(ValueError, match="infinite"):
        scorer.frame(np.full(SIZE, math.inf), truth, key="a")
    with pytest.raises(ValueError, match=r"a map is \[h, w\]"):
        scorer.frame(np.ones((*SIZE, 3)), truth, key="a")


def test_sizes() -> None:
    saliency, truth = example(size=(12, 16))
    _, large = example()
    with pytest.raises(ValueError, match="the map is 16 x 12, the ground truth 32 x 24"):
        Scorer(protocol("tuebingen")).frame(saliency, large, key="a")
    for name in ("mit", "dhf1k", "ntire", "unisal", "salema", "salema-area", "tempsal"):
        Scorer(protocol(name)).frame(saliency, large, key="a")
    density = GroundTruth(truth.fixations, large.density, truth.negatives, truth.baseline)
    values = Scorer(protocol("unisal")).frame(saliency, density, key="a")
    assert math.isfinite(values["CC"])
    assert math.isfinite(values["NSS"])


def test_8_bit() -> None:
    grey = Preparation("fit", bits=8)
    saliency = np.array([[0.0, 0.4999], [0.5, 1.0]], np.float32)

    assert prepare(grey, saliency, (2, 2)).tolist() == [[0, 127], [128, 255]]
    assert prepare(grey, saliency, (2, 2), rounding="floor").tolist() == [[0, 127], [127, 255]]
    stored = np.array([[3, 7], [9, 255]], np.uint8)
    assert prepare(grey, stored, (2, 2)).tolist() == stored.tolist()
    assert prepare(Preparation("fit"), saliency, (2, 2)).tolist() == saliency.tolist()
    for wrong in (saliency * 2, -saliency, saliency / 1e4):
        with pytest.raises(ValueError, match="divide the map by its maximum"):
            prepare(grey, wrong, (2, 2))


def test_stretching_and_halving() -> None:
    stretched = prepare(
        protocol("ntire").preparation, np.array([[51, 102], [51, 153]], np.uint8), (2, 2)
    )
    assert stretched == pytest.approx(np.array([[0, 0.5], [0, 1]]))
    counts = np.zeros((4, 6), int)
    counts[1, 2] = 3
    truth = GroundTruth(counts, np.full((4, 6), 0.5), counts, None)
    halved = prepare_truth(protocol("salema").preparation, truth)
    assert halved.fixations is not None
    assert halved.density is not None
    assert np.argwhere(halved.fixations).tolist() == [[0, 1]]
    assert halved.density.tolist() == [[128] * 3] * 2
    assert prepare(protocol("salema").preparation, np.ones((4, 6)), (4, 6)).shape == (2, 3)
    tempsal = prepare_truth(protocol("tempsal").preparation, truth)
    assert tempsal.density is not None
    assert tempsal.density.shape == (256, 256)


def test_negatives_in_words() -> None:
    assert Negatives(None, repeats=True).statement() == (
        "all fixations of all other videos or images, repeats kept"
    )
    assert Negatives(40, one_per_video=True, redrawn="video").statement() == (
        "fixations of 40 other videos, a random frame of each, none of its own video, "
        "drawn for each video, each pixel once"
    )
    assert "its own video not excluded" in Negatives(10, own=True).statement()
