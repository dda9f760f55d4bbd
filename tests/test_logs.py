"""What salcli and its plugins log reaches stderr, as loudly as asked for."""

import logging

import pytest

from salcli.terminal.logs import logging_to_terminal

LEVELS = {"quiet": {"error"}, "": {"error", "warning"}, "verbose": {"error", "warning", "info"}}


@pytest.mark.parametrize("name", ["salcli.weights.store", "salcli_someones.model"])
@pytest.mark.parametrize("how", LEVELS)
def test_as_much_is_heard_as_asked_for(
    how: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_to_terminal(quiet=how == "quiet", verbose=how == "verbose"):
        for level in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger(name), level)("an %s", level)

    assert capsys.readouterr().err.split("\n")[:-1] == [
        f"an {level}" for level in ("info", "warning", "error") if level in LEVELS[how]
    ]


@pytest.mark.parametrize("verbose", [False, True])
def test_other_libraries_say_no_more_than_warnings(
    verbose: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_to_terminal(quiet=not verbose, verbose=verbose):
        logging.getLogger("elsewhere").info("chatter")
        logging.getLogger("elsewhere").warning("a warning")

    assert capsys.readouterr().err == "a warning\n"


def test_nothing_stays_behind() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))

    with logging_to_terminal(quiet=False, verbose=True):
        assert (root.level, list(root.handlers)) != before
    assert (root.level, list(root.handlers)) == before
