"""The command in a process that was forked from one which had imported torch already."""

import os
import sys

import torch

from salcli.__main__ import main


def run(words: list[str], variables: dict[str, str], said: str) -> None:
    """Run `salcli`; what it says goes to a file. One thread: results are equal to the last bit."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(file, number)
    os.environ.update(variables)
    torch.set_num_threads(1)
    sys.argv = ["salcli", *words]
    main()
