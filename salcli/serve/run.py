"""Runs the server: its socket, its limits on connections, its end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from salcli.errors import UsageError
from salcli.serve.limits import ServerLimits

__all__ = ["listen", "server"]

HEAD_BYTES = 16 * 2**10
"""Limit of the head of a request, all headers together."""

MOST_CONNECTIONS = 1000
KEPT_ALIVE = 5
"""Seconds that a connection stays open after an answer."""

LAST_ANSWERS = 5
"""Seconds for what is running when the server is stopped."""


def listen(host: str, port: int) -> socket.socket:
    """An open socket; port 0 takes any that is free.

    Raises:
        UsageError: The address cannot be used.
    """
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot serve at {host} port {port}: {reason}; choose another") from error


def server(app: ASGIApp, limits: ServerLimits) -> uvicorn.Server:
    """What serves an application on an open socket, until Ctrl-C or SIGTERM."""
    config = uvicorn.Config(
        app,
        http=_protocol(limits),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEPT_ALIVE,
        timeout_graceful_shutdown=LAST_ANSWERS,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    return uvicorn.Server(config)


def _protocol(limits: ServerLimits) -> type[H11Protocol]:
    """HTTP/1.1 that hangs up on clients who do not say what they want."""

    class Impatient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            asyncio.get_running_loop().call_later(limits.header_seconds, self._give_up)

        def _give_up(self) -> None:
            if self.cycle is None:
                self.transport.close()

    return Impatient
