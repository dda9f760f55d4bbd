"""How UNISAL is trained: as published, like the bundled weights, and on a few images."""

from __future__ import annotations

import dataclasses

from salcli import Augmentation, ParameterGroup, Recipe, Source

__all__ = ["RECIPES", "SELECTING", "SELECTS_FROM", "is_published"]

SELECTING, SELECTS_FROM = "dhf1k", 3
"""The published training takes the epoch with the least loss on this dataset, from this epoch on,
counted from 0."""

OPEN = Recipe(
    epochs=12,
    batch_size=8,
    optimiser="adam",
    learning_rate=1e-3,
    weight_decay=1e-5,
    groups=(ParameterGroup("cnn.", rate=0.15, weight_decay=1e-5, frozen_epochs=3, encoder=True),),
    schedule="cosine",
    warmup_steps=100,
    gradient_clip=2.0,
    losses={"kld": 1.0, "nss": -0.1, "cc": -0.5},
    ema=0.998,
    augmentation=Augmentation(
        flip=0.5,
        scale=0.75,
        aspects=((4 / 3, 6), (16 / 9, 2), (1.0, 1), (3 / 4, 1)),
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        hue=0.02,
    ),
    select="CC",
    seed=20,
)

OPEN_FINISH = dataclasses.replace(
    OPEN,
    epochs=3,
    learning_rate=3e-4,
    groups=(ParameterGroup("cnn.", rate=0.15, weight_decay=1e-5, encoder=True),),
    losses={"kld": 1.0, "nss": -0.2, "cc": -0.5},
    select="NSS",
    seed=21,
)
"""The average of `OPEN` is a little too flat; a larger weight of the fixations sharpens it."""

PUBLISHED = Recipe(
    epochs=16,
    batch_size=4,
    optimiser="salcli_unisal.solver:EarlySGD",
    learning_rate=0.04,
    momentum=0.9,
    weight_decay=1e-4,
    groups=(ParameterGroup("cnn.", rate=0.1, weight_decay=1e-5, frozen_epochs=2, encoder=True),),
    schedule="exponential",
    gamma=0.8,
    gradient_clip=2.0,
    losses={"kld": 1.0, "nss": -0.1, "cc": -0.1},
    select="loss",
    sources=(
        Source(
            "dhf1k",
            "DHF1K",
            clip_length=12,
            clip_stride=5,
            truth_size=0,
            sampling="salcli_unisal.sampling:DHF1K",
        ),
        Source(
            "hollywood2",
            "Hollywood",
            clip_length=12,
            clip_stride=4,
            sampling="salcli_unisal.sampling:HOLLYWOOD",
        ),
        Source(
            "ucfsports",
            "UCFSports",
            clip_length=12,
            clip_stride=4,
            sampling="salcli_unisal.sampling:UCFSPORTS",
        ),
        Source("salicon", "SALICON", batch_size=32, truth_size=0),
    ),
    evaluate=("dhf1k", "salicon", "ucfsports", "hollywood2"),
    protocol="unisal",
)
"""Section 4.1 of the paper, and the published code where the paper is silent. Differences:
incomplete validation batches are kept, and a clip may also begin at the last possible frame."""

MIT1003 = Recipe(
    epochs=8,
    batch_size=32,
    optimiser="sgd",
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=1e-4,
    groups=(ParameterGroup("cnn.", rate=0.1, weight_decay=1e-5, encoder=True),),
    schedule="exponential",
    gamma=0.8,
    losses={"kld": 1.0},
    select="loss",
    sources=(Source("mit1003", "MIT1003", sampling="salcli_unisal.sampling:MIT1003"),),
    truth_size=2.0,
    evaluate=("mit300",),
    protocol="unisal",
)
"""The published finetuning on one of ten folds, with maps at twice the input's size."""

FINETUNE = Recipe(
    epochs=6,
    batch_size=4,
    optimiser="adam",
    learning_rate=3e-4,
    weight_decay=1e-5,
    groups=(ParameterGroup("cnn.", rate=0.1, weight_decay=1e-5, encoder=True),),
    schedule="cosine",
    warmup_steps=5,
    gradient_clip=2.0,
    losses={"kld": 1.0, "nss": -0.1, "cc": -0.5},
    augmentation=Augmentation(flip=0.5),
    select="CC",
)
"""For a few dozen images of one's own."""


def is_published(recipe: Recipe) -> bool:
    """Whether a recipe is `PUBLISHED`, perhaps with overrides."""
    return [each.dataset for each in recipe.sources] == [s.dataset for s in PUBLISHED.sources]


RECIPES = {
    "open": OPEN,
    "open-finish": OPEN_FINISH,
    "published": PUBLISHED,
    "finetune-mit1003": MIT1003,
    "finetune": FINETUNE,
}
