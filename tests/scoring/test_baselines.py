"""Baselines: what they predict, how they are fitted, and how observers predict each other."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import salcli
from salcli.baselines import CentreOptions, priors
from salcli.baselines.spectral import spectral_residual
from salcli.errors import InputError, UsageError
from salcli.gaze.kernels import count_map
from salcli.models.loading import load_model
from salcli.protocols import protocol
from salcli.protocols.preparation import GroundTruth
from salcli.protocols.scorer import Scorer
from salcli.scoring import observers
from salcli.types import Stimulus

Map = npt.NDArray[Any]

FRAME = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def predicted(name: str, *options: str, frame: Map = FRAME) -> Map:
    model = load_model(name, options=options, device="cpu").model
    with torch.inference_mode():
        prediction = next(iter(model.predict(Stimulus("one", [frame]))))
    return prediction.saliency.numpy()


def test_the_default_model_is_no_baseline() -> None:
    assert load_model(device="cpu").label == "unisal:open"
    assert load_model("centre").path is None


def test_the_centre_prior_is_a_gaussian_in_shares_of_the_frame() -> None:
    map_ = predicted("centre", "sigma_x=0.1", "sigma_y=0.2")
    assert map_.shape == (48, 64)
    assert map_.max() == 1
    assert np.array_equal(map_, map_[::-1, ::-1])
    along, across = np.log(map_[24]), np.log(map_[:, 32])
    away = (np.arange(64) + 0.5) / 64 - 0.5
    assert along - along.max() == pytest.approx(
        (0.5 / 64 / 0.1) ** 2 / 2 - (away / 0.1) ** 2 / 2, abs=1e-4
    )
    assert across[0] - across.max() == pytest.approx(
        ((0.5 / 48) ** 2 - (0.5 - 0.5 / 48) ** 2) / 0.2**2 / 2, abs=1e-4
    )


def test_a_width_must_be_positive() -> None:
    for option in ("sigma_x=0", "sigma_y=-1", "sigma_x=nan"):
        with pytest.raises(UsageError, match="must be above 0"):
            load_model("centre", options=[option])
    with pytest.raises(UsageError, match="must be above 0"):
        load_model("spectral-residual", options=["width=0"])


def likelihood(points: Map, size: tuple[int, int], *, sigma_x: float, sigma_y: float) -> float:
    """Log-likelihood under the prior of a frame that is cut into many pixels."""
    fine = priors.gaussian((400, 400), sigma_x=sigma_x, sigma_y=sigma_y)
    x, y = (points / (size[1], size[0]) * 400).astype(int).T
    return float(np.log(fine[y, x]).sum())


def test_the_centre_prior_is_fitted_by_maximum_likelihood() -> None:
    rng, size = np.random.default_rng(0), (300, 500)
    points = rng.normal((250, 150), (0.18 * 500, 0.33 * 300), (4000, 2))
    points = points[((points >= 0) & (points < (500, 300))).all(axis=1)]

    fitted = priors.fit_centre((part, size) for part in (points[:1000], points[1000:]))

    assert fitted.sigma_x == pytest.approx(0.18, abs=0.01)
    assert fitted.sigma_y == pytest.approx(0.33, abs=0.03)
    best = likelihood(points, size, sigma_x=fitted.sigma_x, sigma_y=fitted.sigma_y)
    for factor in (0.9, 0.97, 1.03, 1.1):
        assert best > likelihood(
            points, size, sigma_x=factor * fitted.sigma_x, sigma_y=fitted.sigma_y
        )
        assert best > likelihood(
            points, size, sigma_x=fitted.sigma_x, sigma_y=factor * fitted.sigma_y
        )


def test_the_centre_prior_is_fitted_to_density_maps() -> None:
    truth = CentreOptions(sigma_x=0.15, sigma_y=0.3)
    maps = [
        7 * priors.gaussian(size, sigma_x=0.15, sigma_y=0.3) for size in ((120, 160), (200, 200))
    ]

    fitted = priors.fit_centre_to_maps([*maps, np.zeros((5, 5))])

    assert fitted.sigma_x == pytest.approx(truth.sigma_x, abs=1e-3)
    assert fitted.sigma_y == pytest.approx(truth.sigma_y, abs=1e-3)
    assert priors.fit_centre_to_maps([np.ones((50, 50))]).sigma_x > 5  # as flat as it can be


def test_nothing_to_fit_to() -> None:
    with pytest.raises(ValueError, match="at least one fixation"):
        priors.fit_centre([(np.empty((0, 2)), (4, 4))])
    with pytest.raises(ValueError, match="at least one density map"):
        priors.mean_map([np.zeros((4, 4))], (4, 4))


def test_the_mean_map_weighs_every_map_the_same() -> None:
    left, right = np.zeros((4, 6)), np.zeros((4, 6))
    left[:, 0], right[:, 5] = 1, 100

    mean = priors.mean_map([left, np.zeros((4, 6)), right], (4, 6))

    assert mean.sum() == pytest.approx(1)
    assert mean[:, [0, 5]] == pytest.approx(np.full((4, 2), 1 / 8))
    assert priors.mean_map([np.ones((9, 9))], (3, 5)) == pytest.approx(np.full((3, 5), 1 / 15))


def test_the_mean_map_is_read_and_stretched_to_the_frame(tmp_path: Path) -> None:
    map_ = priors.gaussian((24, 32), sigma_x=0.2, sigma_y=0.1)
    np.save(tmp_path / "mean.npy", map_)
    Image.fromarray(np.round(255 * map_ / map_.max()).astype(np.uint8)).save(tmp_path / "mean.png")

    exact = predicted("mean-map", f"map={tmp_path / 'mean.npy'}")
    rounded = predicted("mean-map", f"map={tmp_path / 'mean.png'}")

    assert exact.shape == (48, 64)
    assert exact.max() == 1
    assert np.abs(exact - rounded).max() < 1 / 255
    assert (
        np.corrcoef(exact.ravel(), predicted("centre", "sigma_x=0.2", "sigma_y=0.1").ravel())[0, 1]
        > 0.999
    )


def test_a_mean_map_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="option map=FILE"):
        load_model("mean-map")
    with pytest.raises(InputError, match=r"missing\.npy' cannot be read"):
        load_model("mean-map", options={"map": tmp_path / "missing.npy"})
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match="cannot be read"):
        load_model("mean-map", options={"map": tmp_path / "text.png"})
    for wrong in (np.zeros((4, 4)), np.full((4, 4), math.nan), -np.ones((4, 4)), np.ones(4)):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(InputError, match="is no density map"):
            load_model("mean-map", options={"map": tmp_path / "wrong.npy"})


def test_the_spectral_residual_equals_the_paper_in_numpy() -> None:
    from scipy.ndimage import gaussian_filter, uniform_filter

    grey = np.random.default_rng(1).random((48, 64))
    spectrum = np.fft.fft2(grey)
    logarithm = np.log(np.abs(spectrum))
    residual = logarithm - uniform_filter(logarithm, 3, mode="nearest")
    back = np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))
    expected = gaussian_filter(np.abs(back) ** 2, 2.5, mode="constant")
    expected = (expected - expected.min()) / (expected.max() - expected.min())

    found = spectral_residual(torch.from_numpy(grey)[None], sigma=2.5)[0].numpy()

    assert found == pytest.approx(expected, abs=1e-9)


def test_the_spectral_residual_finds_the_odd_one_out() -> None:
    y, x = np.mgrid[:96, :128]
    frame = np.where((x // 4 + y // 4) % 2, 160, 96)
    frame[40:56, 88:104] = np.where((x // 2) % 2, 255, 0)[40:56, 88:104]
    map_ = predicted("spectral-residual", frame=np.stack([frame] * 3, axis=2).astype(np.uint8))
    assert map_.shape == (48, 64)
    peak = np.unravel_index(map_.argmax(), map_.shape)
    assert 18 <= peak[0] < 30
    assert 42 <= peak[1] < 54


def test_the_spectral_residual_of_nothing_is_nothing() -> None:
    for level in (0, 128, 255):
        assert not predicted("spectral-residual", frame=np.full((48, 64, 3), level, np.uint8)).any()


def test_baselines_predict_like_any_model(tmp_path: Path) -> None:
    Image.fromarray(FRAME).save(tmp_path / "a.png")
    results = list(salcli.predict(tmp_path / "a.png", model="spectral-residual"))
    assert results[0].saliency.shape == (48, 64)


def observer(rng: np.random.Generator, where: tuple[float, float]) -> Map:
    return np.clip(rng.normal(where, 2, (6, 2)), 0, 29.9)


def test_observers_who_agree_predict_each_other() -> None:
    rng, size, scorer = (
        np.random.default_rng(0),
        (30, 40),
        Scorer(protocol("tuebingen"), ["AUC", "NSS", "CC"]),
    )
    alike = [observer(rng, (20, 15)) for _ in range(5)]
    apart = [observer(rng, where) for where in ((5, 5), (25, 5), (5, 25), (25, 25), (15, 15))]
    truth = GroundTruth(count_map(np.concatenate(alike), size))

    agreed, disagreed = (
        observers.leave_one_out(scorer, subjects, truth, sigma=2, key="a")
        for subjects in (alike, apart)
    )

    assert agreed["AUC"] > 0.95
    assert agreed["NSS"] > 2 > 0.5 > disagreed["NSS"]
    assert agreed["CC"] > 0.7 > disagreed["CC"]
    nobody = [np.empty((0, 2))] * 3
    more = observers.leave_one_out(scorer, [*alike, *nobody], truth, sigma=2, key="a")
    assert more == agreed


def test_leaving_one_out_equals_doing_so_by_hand() -> None:
    rng, size, scorer = np.random.default_rng(1), (30, 40), Scorer(protocol("tuebingen"), ["NSS"])
    subjects = [observer(rng, (20, 15)) for _ in range(3)]
    truth, expected = GroundTruth(np.zeros(size, int)), []
    for left_out in range(3):
        others = np.concatenate([s for k, s in enumerate(subjects) if k != left_out])
        map_ = observers.densities([others], size, sigma=3)[0]
        own = GroundTruth(count_map(subjects[left_out], size))
        expected.append(scorer.frame(map_ / map_.max(), own, key="")["NSS"])

    found = observers.leave_one_out(scorer, subjects, truth, sigma=3, key="")

    assert found["NSS"] == pytest.approx(sum(expected) / 3)


def test_one_observer_alone_has_nobody_to_predict_him() -> None:
    scorer, truth = Scorer(protocol("tuebingen"), ["NSS"]), GroundTruth(np.zeros((4, 4), int))
    found = observers.leave_one_out(scorer, [np.ones((2, 2))], truth, sigma=1, key="")
    assert math.isnan(found["NSS"])
    with pytest.raises(ValueError, match="size is unknown"):
        observers.leave_one_out(scorer, [], GroundTruth(), sigma=1, key="")
