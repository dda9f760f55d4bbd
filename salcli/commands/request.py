"""What `salcli train` and `salcli finetune` are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Request"]

CHANGES = (
    *("epochs", "batch_size", "learning_rate", "gamma", "clip_length", "clip_stride"),
    *("accumulation", "gradient_clip", "epoch_steps", "patience", "seed"),
)
"""Options that stand in place of the recipe's fields of the same names."""

GENERAL = ("fold", "hold_out")
"""Options of datasets that are options of the command too."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        model: `NAME[:TAG]`.
        options: `-O` of the model.
        start: Weights file to start from.
        published: Whether the bare name of a model means its first published weights.
        recipe: Name of the recipe; `None` for the first of `recipes`.
        recipes: Names that are looked for first, in order.
        changes: Fields of the recipe.
        thaw_after: `frozen_epochs` of the recipe's encoder.
        data: `NAME` or `NAME=DIR`.
        roots: `--root`.
        data_options: Of the datasets, where they have such an option.
        given_data_options: `-D`, for which the dataset must have it.
        device, deterministic: Where and how it runs.
    """

    model: str
    options: Sequence[str] = ()
    start: Path | None = None
    published: bool = False
    recipe: str | None = None
    recipes: Sequence[str] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    thaw_after: int | None = None
    data: Sequence[str] = ()
    roots: Sequence[Path] = ()
    data_options: Mapping[str, str] = field(default_factory=dict)
    given_data_options: Sequence[str] = ()
    device: str = "auto"
    deterministic: bool = False

    @classmethod
    def of(
        cls, given: Mapping[str, Any], *, published: bool, recipes: Sequence[str] = ()
    ) -> Request:
        """What the options of `salcli train` or `salcli finetune` say, by their names there."""
        there = {name: value for name, value in given.items() if value is not None}
        changes = {name: there[name] for name in CHANGES if name in there}
        if "gamma" in changes:
            changes["schedule"] = "exponential"
        return cls(
            model=given["model"],
            options=there.get("option", ()),
            start=given["weights"],
            published=published,
            recipe=given["recipe"],
            recipes=recipes,
            changes=changes,
            thaw_after=given["train_cnn_after"],
            data=there.get("data", ()),
            roots=there.get("root", ()),
            data_options={name: str(there[name]) for name in GENERAL if name in there},
            given_data_options=there.get("data_option", ()),
            device=given["device"],
            deterministic=given["deterministic"],
        )
