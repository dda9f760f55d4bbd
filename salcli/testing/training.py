"""The law of training: each recipe is followed for one batch, which is made as for a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from salcli.blame import failures_of
from salcli.datasets.collection import Collection
from salcli.errors import SalcliError
from salcli.files.atomic import temporary_folder
from salcli.models.model import Model
from salcli.recipe import WHOLE, ParameterGroup, Recipe, Source
from salcli.specs import resolve
from salcli.testing.subject import FPS, ODD, Subject, broken, picture
from salcli.training.batches import Batches
from salcli.training.optimisation import freeze, make_optimiser
from salcli.training.plan import Corpus
from salcli.training.sampling import Sampling
from salcli.types import Annotation, Recording

__all__ = ["can_be_trained"]

BATCH = 2
"""Recordings of a trial batch, where the recipe does not take fewer."""

WHOLE_CLIP = 4
"""Frames of a clip that a recipe takes as a whole."""

FILES = 4
"""Different pictures; a longer clip shows them again."""


def can_be_trained(subject: Subject) -> None:
    """Each recipe takes stills and clips, and its losses give the network a finite gradient."""
    with failures_of(f"model '{subject.spec.name}'"):
        recipes = subject.known.recipes()
    if not recipes:
        return
    if type(subject.known).losses is Model.losses:
        raise broken(subject.spec, "training", "it has recipes, but no losses; write losses(batch)")
    with temporary_folder() as folder:
        files = _write(folder)
        for name, recipe in recipes.items():
            for source, clips in dict.fromkeys(_sources(subject, recipe)):
                try:
                    _follow(subject, recipe, source, files, clips=clips)
                except SalcliError as error:
                    what = f"clips of {_length(source, recipe)} frames" if clips else "stills"
                    how = f"recipe '{name}', {what}: {error}"
                    raise broken(subject.spec, "training", how) from error


def _sources(subject: Subject, recipe: Recipe) -> Iterator[tuple[Source, bool]]:
    """Each way in which the recipe uses data, whichever these are, and whether they are clips."""
    stills, clips = (kind in subject.spec.accepts for kind in ("stills", "clips"))
    if stills:
        yield Source("trial"), False
    for source in recipe.sources or (Source("trial"),):
        alike = dataclasses.replace(source, dataset="trial", batch_size=None)
        yield alike, clips and (not stills or _length(source, recipe) != 1)


def _length(source: Source, recipe: Recipe) -> int:
    length = recipe.clip_length if source.clip_length is None else source.clip_length
    return WHOLE_CLIP if length == WHOLE else length


def _follow(
    subject: Subject, recipe: Recipe, source: Source, files: Sequence[Annotation], *, clips: bool
) -> None:
    """Go forward and backward with one batch of the recipe.

    Raises:
        SalcliError: Something of it fails, or is not finite.
    """
    source = dataclasses.replace(source, batch_size=min(BATCH, recipe.batch_size))
    short = dataclasses.replace(recipe, epoch_steps=None, accumulation=1)
    corpus = Corpus.of(_dataset(files, source, short, clips=clips), source, short)
    last = max((group.frozen_epochs for group in recipe.groups), default=0)
    model = _model(subject, recipe)
    _check_groups(model, recipe)
    with failures_of(f"model '{subject.spec.name}'"), torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        batch = Batches([corpus], model, recipe=short)[0, 0]
        model.start_epoch(0)
        freeze(model.network, recipe, last)  # all that is ever trained
        make_optimiser(model.network, recipe).zero_grad()
        given = 0
        for given, loss in enumerate(model.losses(batch), start=1):  # noqa: B007
            total = loss.total(recipe.losses)
            if total.ndim or not total.isfinite() or not total.requires_grad:
                raise SalcliError("the losses are no finite scalar with a gradient; take means")
            torch.autograd.backward(total)
    if not given:
        raise SalcliError("it gives no loss for a batch with ground truth on every frame")
    _check_gradient(model)


def _check_groups(model: Model, recipe: Recipe) -> None:
    """Raise `SalcliError` for a group without parameters, unless one that is alike has some."""
    names = [name for name, _ in model.network.named_parameters()]
    alike: dict[ParameterGroup, list[ParameterGroup]] = {}
    for group in recipe.groups:
        alike.setdefault(dataclasses.replace(group, prefix="", suffix=""), []).append(group)
    for groups in alike.values():
        if not any(n.startswith(g.prefix) and n.endswith(g.suffix) for g in groups for n in names):
            raise SalcliError(
                f"a group with prefix='{groups[0].prefix}', suffix='{groups[0].suffix}' is empty; "
                f"its names are those of the network, such as '{names[0]}'"
            )


def _check_gradient(model: Model) -> None:
    """Raise `SalcliError` unless what the network learns from is finite, and not zero."""
    found = {n: p.grad for n, p in model.network.named_parameters() if p.grad is not None}
    model.network.zero_grad()
    for name, gradient in found.items():
        if not bool(gradient.isfinite().all()):
            raise SalcliError(
                f"the gradient of '{name}' is not finite; is there a root or logarithm of 0?"
            )
    if not any(bool(gradient.any()) for gradient in found.values()):
        raise SalcliError("no parameter gets a gradient; does something cut it off, as .detach()?")


def _model(subject: Subject, recipe: Recipe) -> Model:
    """The model with the options that training by this recipe needs."""
    if recipe.options.keys() <= subject.options.keys():
        return subject.known
    return dataclasses.replace(subject, options={**recipe.options, **subject.options}).fresh()


def _write(folder: Path) -> list[Annotation]:
    """Pictures, each beside a density that is not uniform and a few fixations; their labels."""
    height, width = ODD
    ramp = np.linspace(1, 255, height * width).reshape(ODD).astype(np.uint8)
    fixations = np.zeros(ODD, np.uint8)
    fixations[4::12, 5::12] = 255
    found = []
    for number in range(FILES):
        annotation = Annotation(str(number), folder / "density.png", folder / "fixations.png")
        Image.fromarray(picture(number)).save(folder / f"{annotation.label}.png")
        found.append(annotation)
    Image.fromarray(ramp).save(folder / "density.png")
    Image.fromarray(fixations).save(folder / "fixations.png")
    return found


def _dataset(
    files: Sequence[Annotation], source: Source, recipe: Recipe, *, clips: bool
) -> Collection:
    """As many recordings as a batch has, each just long enough for a sample."""
    sampling = resolve(source.sampling) if source.sampling else Sampling()
    stride = recipe.clip_stride if source.clip_stride is None else source.clip_stride
    count = sampling.span(_length(source, recipe), stride) if clips else 1

    def recordings() -> Iterator[Recording]:
        for number in range(source.batch_size or 1):
            shown = [files[(number + position) % FILES] for position in range(count)]
            pictures = [one.density.with_name(f"{one.label}.png") for one in shown if one.density]
            observed = [one for one in shown for _ in range(recipe.slices)]
            name = f"trial/{number}"
            if clips:
                yield Recording(name, pictures[0], observed, fps=FPS, frames=pictures)
            else:
                yield Recording(name, pictures[0], observed)

    return Collection("trial", {"train": recordings, "valid": recordings}, "valid")
