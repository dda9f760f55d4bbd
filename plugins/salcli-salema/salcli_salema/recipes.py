"""How the authors trained: one video after another, in order, gradients through ten frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from salcli import ParameterGroup, Recipe, Source
from salcli.authoring import WHOLE
from salcli_salema import Options
from salcli_salema.architecture import CONVOLUTIONS

__all__ = ["of"]

DECAY = 1e-4
ALPHA_RATE = 0.1
"""Learning rate of alpha, independent of the network's."""

NEVER = 10**9
"""An epoch that no training reaches."""

DHF1K = Recipe(
    epochs=7,
    batch_size=1,
    optimiser="adam",
    learning_rate=1e-6,
    weight_decay=DECAY,
    gradient_clip=10.0,
    losses={"bce": 1.0},
    select="loss",
    shuffle=False,
    sources=(Source("dhf1k"),),
    clip_length=WHOLE,
)
"""Videos 1-600, as for the published weights."""

FINETUNE = replace(DHF1K, epochs=3, learning_rate=1e-7, sources=())
"""Continues from published weights, on any dataset of clips."""

THAWED = (
    # first layer that the epoch thaws, counted from 0
    {1: 57, 2: 52, 3: 47, 4: 0},
    {1: 51, 2: 46, 3: 41, 4: 0},
)
"""Gradual thawing of SalCLSTM30 and of SalCLSTM56: the last layers first."""


def of(options: Options) -> Mapping[str, Recipe]:
    """The recipes for a variant; the first is the default."""
    found = {"dhf1k": DHF1K, "finetune": FINETUNE}
    if options.variant in ("clstm30", "clstm56"):
        schedule = THAWED[0 if options.variant == "clstm30" else 1]
        return {**found, "thaw": replace(DHF1K, groups=_thawing(schedule))}
    if options.variant == "static":  # the authors clipped only in the loop of the other two
        return {name: replace(recipe, gradient_clip=None) for name, recipe in found.items()}
    if options.learn_alpha:
        found = {name: replace(r, groups=(_alpha(r),)) for name, r in found.items()}
        still = ParameterGroup("salgan.", weight_decay=DECAY, frozen_epochs=NEVER)
        return {**found, "alpha-only": replace(DHF1K, groups=(_alpha(DHF1K), still))}
    return found


def _alpha(recipe: Recipe) -> ParameterGroup:
    return ParameterGroup("alpha", rate=ALPHA_RATE / recipe.learning_rate)


def _thawing(schedule: Mapping[int, int]) -> tuple[ParameterGroup, ...]:
    """One group per convolution, frozen until its epoch."""
    groups = []
    for index in CONVOLUTIONS:
        epoch = min(epoch for epoch, first in schedule.items() if index >= first)
        groups.append(ParameterGroup(f"salgan.{index}.", weight_decay=DECAY, frozen_epochs=epoch))
    return tuple(groups)
