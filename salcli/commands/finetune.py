"""`salcli finetune`: go on from weights, on your own data or another dataset."""

from __future__ import annotations

from pathlib import Path

from salcli.commands.train import training_command
from salcli.plugins import registry

__all__ = ["finetune"]

finetune = training_command(
    model=registry.DEFAULT_MODEL,
    output=Path("runs/finetune"),
    finetunes=True,
    description="""Go on training from weights; the best ones are OUTPUT/best.safetensors.

    Scores on the validation recordings are printed before and after. The data are named as for
    'salcli train'; --model NAME means its published weights, unless --weights names others.

    The recipe is the model's one for this dataset, or its 'finetune', or its first.
    """,
)
