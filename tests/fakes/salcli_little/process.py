"""The command in a process that was forked from one which had imported torch already."""

import os
import resource
import signal
import sys

import torch

from salcli.__main__ import main


def run(words: list[str], variables: dict[str, str], said: str) -> None:
    """Run `salcli`; what it says goes to a file. One thread: results are equal to the last bit.

    No file can become longer than FILE_LIMIT bytes, as on a full disk.
    """
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(file, number)
    os.environ.update(variables)
    if limit := variables.get("FILE_LIMIT"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    torch.set_num_threads(1)
    sys.argv = ["salcli", *words]
    main()
