"""The losses against the metrics, and their gradients."""

import pytest
import torch
from torch import Tensor

from salcli import Batch, metrics
from salcli.training import losses


def log_density(raw: Tensor) -> Tensor:
    return raw.flatten(-2).log_softmax(-1).view_as(raw)


def example(seed: int = 0, count: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    raw = 2 * torch.randn(count, 1, 9, 12, generator=generator)
    density = torch.rand(count, 1, 9, 12, generator=generator)
    density[..., :3, :] = 0
    density /= density.sum((-2, -1), keepdim=True)
    fixations = torch.rand(count, 1, 9, 12, generator=generator) > 0.9
    return raw, density, fixations


def test_losses_equal_the_metrics() -> None:
    raw, density, fixations = example()
    saliency = log_density(raw)
    for index in range(len(raw)):
        p, q = saliency[index, 0].exp().numpy(), density[index, 0].numpy()
        fixated = fixations[index, 0].numpy()
        pairs = (
            (losses.cc(saliency, density), metrics.cc(p, q)),
            (losses.kld(saliency, density), metrics.kld(p, q)),
            (losses.nss(saliency, fixations), metrics.nss(p, fixated)),
        )
        for loss, metric in pairs:
            assert loss.shape == (3, 1)
            assert loss[index, 0].item() == pytest.approx(metric, abs=1e-5)


def test_leading_dimensions_are_free() -> None:
    raw, density, fixations = example(count=6)
    saliency = log_density(raw)
    for loss, truth in ((losses.kld, density), (losses.cc, density), (losses.nss, fixations)):
        whole = loss(saliency, truth)
        folded = loss(saliency.view(2, 3, 1, 9, 12), truth.view(2, 3, 1, 9, 12))
        torch.testing.assert_close(folded, whole.view(2, 3, 1))


def test_gradients_are_finite_and_go_downhill() -> None:
    raw, density, fixations = example()
    for loss, truth, sign in (
        (losses.kld, density, 1),
        (losses.cc, density, -1),
        (losses.nss, fixations, -1),
    ):
        x = raw.clone().requires_grad_()
        before = sign * loss(log_density(x), truth).sum()
        (gradient,) = torch.autograd.grad(before, x)
        assert gradient.isfinite().all()
        after = sign * loss(log_density(raw - 0.01 * gradient), truth).sum()
        assert after < before


def test_a_map_without_fixations_counts_as_one_and_pulls_nowhere() -> None:
    raw, _, fixations = example()
    fixations[1] = False
    x = raw.clone().requires_grad_()
    value = losses.nss(log_density(x), fixations)
    assert value[1].item() == 1
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert gradient.isfinite().all()
    assert (gradient[1] == 0).all()
    assert (gradient[0] != 0).any()


def test_density_without_support_contributes_nothing() -> None:
    raw, density, _ = example()
    x = raw.clone().requires_grad_()
    value = losses.kld(log_density(x), density)
    assert value.isfinite().all()
    assert (value > 0).all()
    truth = density.clamp(min=1e-30).log()
    assert losses.kld(truth, density).abs().max() < 1e-6


def test_the_usual_losses_are_means_over_the_batch() -> None:
    """Of maps of another size, and of a clip's frames as of stills."""
    raw, density, fixations = example(count=4)
    batch = Batch(
        torch.zeros(2, 2, 3, 1, 1), *(m.unflatten(0, (2, 2)) for m in (density, fixations))
    )
    found = losses.density_losses(raw[:, 0], batch)
    saliency = log_density(raw)
    torch.testing.assert_close(found["kld"], losses.kld(saliency, density).mean())
    torch.testing.assert_close(found["nss"], losses.nss(saliency, fixations).mean())
    torch.testing.assert_close(found["cc"], losses.cc(saliency, density).mean())
    large = torch.nn.functional.interpolate(raw, scale_factor=3, mode="nearest")
    fine = losses.density_losses(large.view(2, 2, 27, 36), batch)
    assert all(torch.allclose(fine[name], found[name], atol=1e-5) for name in found)
