"""Refuses a training that is impossible, before it begins or as soon as it shows."""

from __future__ import annotations

from collections.abc import Sequence

from salcli.errors import UnknownName, UsageError
from salcli.plugins import registry
from salcli.recipe import WHOLE, Recipe
from salcli.training.batches import Batches
from salcli.training.distributed import Ranks
from salcli.training.plan import Corpus

__all__ = ["check", "check_accumulation", "check_shares"]


def check(corpora: Sequence[Corpus], batches: Batches, *, recipe: Recipe, ranks: Ranks) -> None:
    """Raise `UsageError` if an epoch has no step, or if nothing can be selected by."""
    training, validation = (
        sum(len(recordings) for recordings in column)
        for column in zip(*((c.training, c.validation) for c in corpora), strict=True)
    )
    found = f"{training} recordings to train on and {validation} to validate on"
    if not validation:
        raise UsageError(f"{found}: at least one must validate; hold out others")
    check_shares(corpora, ranks)
    if not len(batches.plan(0)):
        short = f" ({batches.left_out} are too short or not annotated)" if batches.left_out else ""
        size, several = corpora[0].batch_size, recipe.accumulation > 1
        wanted = (
            f"the {recipe.accumulation} batches of {size} of one step"
            if several
            else (f"one batch of {size}")
        )
        raise UsageError(
            f"{found}{short}: too few for {wanted}; add some, or choose a smaller batch size"
            + " or less accumulation" * several
        )
    if recipe.select == "loss":
        return
    known = {name: each for name, each in registry.metrics().items() if each.validates}
    if recipe.select not in known:
        raise UnknownName("metric", recipe.select, known)
    validating = [a for corpus in corpora for r in corpus.validation for a in r.annotations]
    if known[recipe.select].needs == "fixations" and not any(a.fixations for a in validating):
        raise UsageError(f"the recipe selects by {recipe.select}, which needs fixations/")


def check_shares(corpora: Sequence[Corpus], ranks: Ranks) -> None:
    """Raise `UsageError` if the processes cannot share the batches of a corpus."""
    for corpus in corpora:
        if corpus.clip_length == WHOLE and corpus.batch_size != ranks.count:
            processes = f"{ranks.count} processes need" if ranks.count > 1 else "one process needs"
            raise UsageError(
                f"whole clips differ in length, so that each process takes one at a time: "
                f"{processes} a batch size of {ranks.count}, not {corpus.batch_size}"
            )
        if corpus.batch_size % ranks.count:
            raise UsageError(
                f"{ranks.count} processes cannot share a batch of {corpus.batch_size}; choose a "
                "batch size that they can"
            )


def check_accumulation(number: int, recipe: Recipe) -> None:
    """Raise `UsageError` at the second pass of a batch, if several batches make one step."""
    if number and recipe.accumulation > 1:
        raise UsageError(
            "here each batch goes backward several times, and each time is a step of the "
            "optimiser, so that batches cannot be accumulated; start again without "
            "accumulation, in another output folder"
        )
