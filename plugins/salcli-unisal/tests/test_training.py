"""A step of the training against the goldens of the original code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from salcli_unisal.network import UNISAL
from torch import Tensor, nn

from salcli.authoring import losses

GOLDENS = Path(__file__).parent / "goldens"


def targets(shape: tuple[int, int, int, int], phase: float) -> tuple[Tensor, Tensor]:
    """The formula in the goldens: density and fixations `[B, T, 1, H, W]`."""
    height, width = shape[2:]
    b, t, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    cx = width * (0.5 + 0.25 * np.sin(0.7 * t + 1.1 * b + phase))
    cy = height * (0.5 + 0.2 * np.cos(0.9 * t + 0.6 * b + phase))
    g = np.exp(
        -((x - cx) ** 2 / (2 * (0.12 * width) ** 2) + (y - cy) ** 2 / (2 * (0.15 * height) ** 2))
    )
    fixations = ((7 * x + 13 * y + 29 * t + 31 * b) % 211 < 1) & (g > 0.3)
    density = torch.from_numpy((np.round(255 * g) / 255).astype(np.float32))
    density = density / density.sum((-2, -1), keepdim=True)
    return density[:, :, None], torch.from_numpy(fixations)[:, :, None]


def norms(tensors: dict[str, Tensor], keys: dict[str, float]) -> dict[str, float]:
    return {key: tensors[key].norm().item() for key in keys}


def test_a_training_step_equals_the_original(
    unisal_sw1: Callable[..., None], golden_input: Callable[..., Tensor]
) -> None:
    golden: dict[str, Any] = json.loads((GOLDENS / "train_video_dhf1k.json").read_text())
    shape = (golden["B"], golden["T"], golden["H"], golden["W"])
    results, rates = golden["results"], golden["optimiser"]
    network = UNISAL(drop_probs=(0.0, 0.0), state_dropout=0.0)
    unisal_sw1(network)
    network.train()
    network.cnn.eval()
    buffers, parameters = dict(network.named_buffers()), dict(network.named_parameters())
    before = results["running_mean_l2_before"]
    assert norms(buffers, before) == pytest.approx(before, rel=1e-4)

    saliency, _ = network(golden_input(shape, golden["ph"]), domain="DHF1K", size=shape[2:])
    density, fixations = targets(shape, golden["ph"])
    summands = {
        "kld": losses.kld(saliency, density).mean(),
        "nss": losses.nss(saliency, fixations).mean(),
        "cc": losses.cc(saliency, density).mean(),
    }
    loss = summands["kld"] - 0.1 * summands["nss"] - 0.1 * summands["cc"]
    torch.autograd.backward(loss)
    found = {name: value.item() for name, value in summands.items()}
    assert found == pytest.approx(results["loss_summands"], rel=1e-4)
    assert loss.item() == pytest.approx(results["loss"], rel=1e-4)
    gradients = {k: p.grad for k, p in parameters.items() if p.grad is not None}
    assert len(gradients) == results["n_params_with_grad"]
    expected = results["grad_norms_before_clip"]
    assert norms(gradients, expected) == pytest.approx(expected, rel=5e-3)

    groups = [
        {
            "params": [p for k, p in parameters.items() if k.startswith("cnn.") == in_encoder],
            "lr": rates["cnn_lr" if in_encoder else "lr"],
            "weight_decay": rates["cnn_weight_decay" if in_encoder else "weight_decay"],
        }
        for in_encoder in (True, False)
    ]
    optimiser = torch.optim.SGD(groups, lr=rates["lr"], momentum=rates["momentum"])
    old = {key: parameters[key].detach().clone() for key in parameters}
    total = nn.utils.clip_grad_norm_(network.parameters(), rates["grad_clip"])
    assert total.item() == pytest.approx(results["total_grad_norm_before_clip"], rel=5e-3)
    optimiser.step()
    change = {key: parameters[key].detach() - old[key] for key in parameters}
    expected = results["param_l2_change_after_one_step"]
    assert norms(change, expected) == pytest.approx(expected, rel=5e-3)
    after = results["running_mean_l2_after_forward"]
    assert norms(buffers, after) == pytest.approx(after, rel=1e-4)
