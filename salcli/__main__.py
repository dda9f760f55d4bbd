"""`salcli` and `python -m salcli`."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from salcli import cli

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line, and end this process without freeing its objects one by one.

    Half a second of CPU would go into that after the import of PyTorch. Threads and the functions
    of `atexit` end as they do otherwise, in the way in which `multiprocessing` ends its processes.
    """
    try:
        cli.main()
    except SystemExit as end:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)


if __name__ == "__main__":
    main()
