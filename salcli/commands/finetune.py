"""`salcli finetune`: continue training from weights, on your own data or another dataset."""

from __future__ import annotations

from pathlib import Path

from salcli.commands.train import training_command
from salcli.plugins import registry

__all__ = ["finetune"]

finetune = training_command(
    model=registry.DEFAULT_MODEL,
    output=Path("runs/finetune"),
    finetunes=True,
    description="""Continue training from weights; the best ones are OUTPUT/best.safetensors.

    Scores on the validation recordings are printed before and after; the weights that it starts
    from compete with those of each epoch. Data are given as for 'salcli train'; --model NAME means
    its published weights, unless --weights names others, and --model runs/mine those of a training.

    The default recipe is the model's for this dataset, or its 'finetune', or its first.

    \b
    Examples:
      salcli finetune mydata --output runs/mine
      salcli finetune --model unisal:best --data mit1003 --fold 0
    """,
)
