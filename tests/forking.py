"""Runs commands of salcli as processes of their own, without the time that each start takes.

This process imports everything once. For each line of JSON on its standard input it forks a process
for each of `commands`, all at once, sends them `signal` after so many seconds or as soon as a file
is there if that is wanted, and answers with their exit codes and what they printed on stderr.
"""

import itertools
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path


def die_at(count: int) -> None:
    """Kill this process when it has made so many maps."""
    from salcli.terminal.progress import Lines

    made = itertools.count(1)

    def step(self: Lines) -> None:
        if next(made) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    Lines.step = step


def child(arguments: list[str], folder: str, errors: int, kill_at: int | None) -> None:
    from salcli import cli

    if kill_at is not None:
        die_at(kill_at)

    # what a shell starts in the background ignores them, and so would this
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(folder)
    os.dup2(errors, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["salcli", *arguments]
    code = 1
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def answer(wanted: dict) -> dict:
    children = []
    for arguments in wanted["commands"]:
        errors = os.fdopen(os.memfd_create("errors"), "w+b")
        pid = os.fork()
        if pid == 0:
            child(arguments, wanted["folder"], errors.fileno(), wanted["kill_at"])
        children.append((pid, errors))
    while wanted["seen"] and not Path(wanted["seen"]).exists():
        time.sleep(0.002)
    for pause in wanted["pauses"]:
        time.sleep(pause)
        for pid, _ in children:
            os.kill(pid, wanted["signal"])
    codes, texts = [], []
    for pid, errors in children:
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        errors.seek(0)
        texts.append(errors.read().decode())
    return {"codes": codes, "errors": texts}


def warm_up() -> None:
    """Import whatever a run imports."""
    from PIL import Image

    from salcli import cli

    with tempfile.TemporaryDirectory() as folder:
        image = f"{folder}/a.png"
        Image.new("RGB", (8, 8)).save(image)
        sys.argv = ["salcli", "predict", image, "-m", "brightness", "-o", folder + "/out", "-q"]
        sys.argv += ["--save", "csv", "--save", "overlay"]
        with suppress(SystemExit):
            cli.main()


def main() -> None:
    warm_up()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
