"""Pictures to which filters respond most: activation maximisation, as the authors did it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from salcli import UsageError
from salcli.authoring import IMAGENET, atomic, pixels
from salcli_salema.architecture import LAYERS

if TYPE_CHECKING:
    import numpy.typing as npt

    from salcli_salema.model import Salema

__all__ = ["maximised", "save"]

START = (150, 180)
"""Range of the levels of the noise from which a picture starts."""

RATE, DECAY = 0.1, 1e-6
"""Learning rate and weight decay of Adam."""

QUALITY = 95


def maximised(
    model: Salema, layer: int, filters: Sequence[int], *, size: int, steps: int, every: int
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Steps of the optimiser, and the pictures after them: RGB `[filters, size, size, 3]`.

    The loss is minus the mean activation of a filter. Pictures are standardised as ImageNet's, as
    published, which is not the network's own input.

    Args:
        model: Loaded; its parameters are frozen.
        layer: Index of the layer.
        filters: Channels of the layer's output.
        size: Side of the pictures in pixels.
        steps: Steps of the optimiser.
        every: Pictures are given after every so many steps, and after the last.

    Raises:
        UsageError: The layer has no such filter.
    """
    channels = LAYERS[layer].cout
    for number in filters:
        if not 0 <= number < channels:
            raise UsageError(
                f"there is no filter {number} in layer {layer}: its filters are 0 to {channels - 1}"
            )
    model.network.requires_grad_(False)
    noise = np.random.default_rng(0).uniform(*START, (size, size, 3)).astype(np.uint8)
    x = pixels([noise] * len(filters), standardised=IMAGENET).to(model.device).requires_grad_()
    optimiser = torch.optim.Adam([x], lr=RATE, weight_decay=DECAY)
    mean, std = (torch.tensor(v, device=model.device)[:, None, None] for v in IMAGENET)
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        maps = model.network(x[:, None], last=layer)[0][:, 0]
        means = maps[torch.arange(len(filters)), torch.tensor(filters)].mean((1, 2))
        torch.autograd.backward(-means.sum())
        optimiser.step()
        if step % every == 0 or step == steps:
            levels = (x.detach() * std + mean).clamp(0, 1).mul(255).round()
            yield step, levels.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)


def save(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture as JPEG.

    Raises:
        OutputError: The file cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=QUALITY)
    atomic.write(path, content.getvalue())
