"""Begins the model process: imports what is heavy only there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from salcli.serve.orders import WorkerSettings

__all__ = ["begin"]


def begin(connection: Connection, settings: WorkerSettings) -> None:
    """Run `salcli.serve.worker.main`; the server itself never imports torch."""
    from salcli.serve.worker import main

    main(connection, settings)
