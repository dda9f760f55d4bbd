"""Stands before every route: whose requests are answered, in what time, with which headers."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from salcli.serve.limits import LOCAL, Refusal, ServerLimits

__all__ = ["COOKIE", "SANDBOX", "Guard", "refused"]

logger = logging.getLogger(__name__)

COOKIE = "salcli-token"

OPEN = frozenset({"/login"})
"""What needs no token: it takes one."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For pages that are not ours: they may run, but as a stranger who can ask nobody anything."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Cache-Control": "no-store",
}
"""Of every answer, unless a route sets its own. No header allows other origins anything."""


class Guard:
    """Refuses strangers, other sites' pages and names that are not ours.

    Args:
        app: The routes.
        limits: Of time.
        token: What every request must bring; `None` for a server on this machine alone, which is
            reached under the names in `LOCAL` only: a page elsewhere cannot claim to be ours by
            giving its own name our address.
    """

    def __init__(self, app: ASGIApp, *, limits: ServerLimits, token: str | None) -> None:
        self._app, self._limits, self._token = app, limits, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            async with asyncio.timeout(self._limits.stall_seconds):
                await send(message)

        try:
            self._check(scope)
        except Refusal as refusal:
            await refused(scope, refusal)(scope, receive, sent)
        else:
            await self._app(scope, receive, sent)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._token is None and _name(host) not in LOCAL:
            raise Refusal(421, "this server answers to 127.0.0.1 and localhost only")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Refusal(403, "requests from other sites are refused")
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode")
        followed = mode == "navigate" and scope["method"] == "GET"
        if site not in ("none", "same-origin") and not followed:
            raise Refusal(403, "requests from other sites are refused")
        if self._token is not None and scope["path"] not in OPEN:
            self._check_token(headers)

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = _cookie(headers)
        assert self._token is not None
        if not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            raise Refusal(401, "the token is missing or wrong; open the address with the token")


def refused(scope: Scope, refusal: Refusal) -> JSONResponse:
    """The answer to a refused request; the reason is logged."""
    client = scope.get("client") or ("?",)
    # ascii(): a path may hold anything, line breaks and terminal codes too
    logger.warning(
        "refused %s %s of %s: %d, %s",
        *(scope["method"], ascii(scope["path"][:200]), client[0], refusal.status, refusal),
    )
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(refusal)}, refusal.status, headers)


def _name(host: str) -> str:
    """The host's name without its port; empty if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
