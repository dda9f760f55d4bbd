"""Compares a model's maps with what observers did."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch

from salcli import groundtruth, imageops, images, registry
from salcli.model import Model
from salcli.specs import resolve
from salcli.types import Recording, Stimulus

__all__ = ["score", "validate"]


def validate(model: Model, recordings: Sequence[Recording]) -> dict[str, dict[str, float]]:
    """Mean of every metric over the images of each group, and of `"all"` recordings.

    Maps are predicted at the image's own size and compared there; an image on which a metric is
    undefined does not count for it, and a metric that is defined on no image is left out.
    """
    values = defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
    for recording in recordings:
        for name, value in score(model, recording):
            if math.isnan(value):
                continue
            for group in dict.fromkeys((recording.group, "all")):
                values[group][name].append(value)
    return {
        group: {name: math.fsum(found) / len(found) for name, found in metrics.items()}
        for group, metrics in values.items()
    }


def score(model: Model, recording: Recording) -> Iterator[tuple[str, float]]:
    """Every metric of one image."""
    frame, annotation = images.read(recording.source), recording.annotations[0]
    size = (frame.shape[0], frame.shape[1])
    stimulus = Stimulus(recording.name, [frame], labels=[recording.name], size=size, count=1)
    with torch.inference_mode():
        prediction = next(iter(model.predict(stimulus)))
        saliency = imageops.resize(prediction.saliency[None], size)[0].cpu().numpy()
    density = torch.from_numpy(groundtruth.read_density(annotation, size))
    truth = {
        "density": imageops.resize(density[None], size)[0].numpy(),
        "fixations": groundtruth.fixation_map(
            groundtruth.read_fixations(annotation, size).points, size
        ),
    }
    for name, metric in registry.metrics().items():
        there = metric.needs == "density" or annotation.fixations is not None
        if metric.validates and there:
            yield name, resolve(metric.function)(saliency, truth[metric.needs])
