"""The routes of the server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from salcli._version import __version__
from salcli.areas.kinds import KINDS
from salcli.serve import browse, offers
from salcli.serve.guard import COOKIE, Guard, refused
from salcli.serve.jobs import ClipJobs
from salcli.serve.limits import Refusal
from salcli.serve.orders import UploadOrder, WorkerSettings
from salcli.serve.process import ModelProcess
from salcli.serve.queue import Lane
from salcli.serve.sniff import is_clip
from salcli.serve.uploads import Spool, receive, remove

__all__ = ["Service", "make_app"]

STATIC = Path(__file__).with_name("static")

TYPES = {"npy": "application/octet-stream"} | dict.fromkeys(("json", "areas"), "application/json")
"""Media types of results; all others are PNG."""

SNIFFED = 512
"""Bytes at the start of a clip by which its kind is recognised."""


def make_app(
    settings: WorkerSettings,
    *,
    models: Sequence[str],
    spool: Path,
    token: str | None = None,
    folder: Path | None = None,
) -> ASGIApp:
    """The application.

    Args:
        settings: Of the model process.
        models: What may be used, the default first, as `NAME` or `NAME:TAG`.
        spool: Folder for uploads and results.
        token: What every request must bring, if any.
        folder: Whose results and reports are shown at `/files/`, if any.
    """
    service = Service(settings, models=models, spool=spool, token=token, browses=bool(folder))
    more: list[BaseRoute] = browse.routes(folder) if folder else []
    app = Starlette(
        routes=[*service.routes(), *more],
        exception_handlers={
            Refusal: lambda request, error: refused(request.scope, error),
            HTTPException: _told,  # type: ignore[dict-item]
        },
        lifespan=service.lifespan,
    )
    app.state.service = service
    return Guard(app, limits=settings.limits, token=token)


def _told(request: Request, error: HTTPException) -> Response:
    """Errors of Starlette itself, as others are."""
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


class Service:
    """What the routes share."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        models: Sequence[str],
        spool: Path,
        token: str | None,
        browses: bool,
    ) -> None:
        self._limits, self._models, self._token = settings.limits, models, token
        self._browses = browses
        self.process = ModelProcess(settings)
        self._spool = Spool(spool, settings.limits)
        self._pictures = Lane(settings.limits.waiting, "pictures")
        self._jobs = ClipJobs(self.process, settings.limits)

    def routes(self) -> list[BaseRoute]:
        """Each path with what answers it."""
        answers: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("/", "GET", self.page),
            ("/login", "GET", self.login),
            ("/health", "GET", self.health),
            ("/models", "GET", self.models),
            ("/openapi.json", "GET", self.description),
            ("/predict", "POST", self.predict),
            ("/areas", "POST", self.areas),
            ("/jobs", "POST", self.add_job),
            ("/jobs/{id}", "GET", self.job),
            ("/jobs/{id}", "DELETE", self.drop_job),
            ("/jobs/{id}/result", "GET", self.job_result),
        ]
        return [
            *(Route(path, answer, methods=[method]) for path, method, answer in answers),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Watch the model process and the old jobs while the server runs."""
        tasks = [
            asyncio.create_task(self.process.stop_when_idle()),
            asyncio.create_task(self._tidy()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await self.process.stop()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(30)
            self._jobs.forget_old()

    async def page(self, request: Request) -> Response:
        """The page; a token in its address becomes a cookie."""
        return FileResponse(STATIC / "index.html")

    async def login(self, request: Request) -> Response:
        """Take the token of an address into a cookie, so that it stands in no further address."""
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE, request.query_params.get("token", ""), httponly=True, samesite="strict"
        )
        return answer

    async def health(self, request: Request) -> Response:
        """Whether the server works, and what waits."""
        return JSONResponse(
            {
                "status": "ok",
                "version": __version__,
                "model_process": "running" if self.process.pid else "unloaded",
                "pictures": self._pictures.inside,
                "clips": self._jobs.lane.inside,
                "limits": vars(self._limits),
                "browses": self._browses,
            }
        )

    async def models(self, request: Request) -> Response:
        """What can be used."""
        return JSONResponse({"models": offers.described(self._models)})

    async def description(self, request: Request) -> Response:
        """This interface, as OpenAPI describes it."""
        return JSONResponse(offers.interface())

    async def predict(self, request: Request) -> Response:
        """A picture's map."""
        return await self._answer(request, _choice(request, "format", "json", offers.forms()))

    async def areas(self, request: Request) -> Response:
        """Areas that nobody drew, found on a picture."""
        wanted = request.query_params.get("kinds", ",".join(KINDS)).split(",")
        if unknown := set(wanted) - set(KINDS):
            raise Refusal(400, f"no kind of area {min(unknown)!a}; known: {', '.join(KINDS)}")
        return await self._answer(request, "areas", tuple(wanted))

    async def _answer(self, request: Request, form: str, kinds: tuple[str, ...] = ()) -> Response:
        self._pictures.check()
        model, alpha = self._model(request), _number(request, "alpha", 0.55)
        folder = self._spool.folder()
        try:
            with self._spool.receiving():
                await receive(request, folder, limits=self._limits, most=self._limits.picture_bytes)
            async with self._pictures.turn():
                if await request.is_disconnected():
                    raise ClientDisconnect
                order = UploadOrder(
                    secrets.token_hex(8), "picture", folder, model, form, alpha, kinds
                )
                await self.process.run(order, seconds=self._limits.picture_seconds)
        except ClientDisconnect:
            remove(folder)
            return Response(status_code=400)  # nobody reads it
        except BaseException:
            remove(folder)
            raise
        return _Owned(order, TYPES.get(form, "image/png"))

    async def add_job(self, request: Request) -> Response:
        """Begin with a clip."""
        self._jobs.lane.check()
        model, folder = self._model(request), self._spool.folder()
        try:
            with self._spool.receiving():
                await receive(request, folder, limits=self._limits, most=self._limits.clip_bytes)
            order = UploadOrder(secrets.token_urlsafe(16), "clip", folder, model)
            with order.upload.open("rb") as file:
                if not is_clip(file.read(SNIFFED)):
                    raise Refusal(415, "this is no clip of a kind that is taken here")
            job = self._jobs.add(order)
        except ClientDisconnect:
            remove(folder)
            return Response(status_code=400)  # nobody reads it
        except BaseException:
            remove(folder)
            raise
        where = {"Location": f"/jobs/{order.id}"}
        return JSONResponse(job.document(), 202, where)

    async def job(self, request: Request) -> Response:
        """How far a clip is."""
        return JSONResponse(self._jobs.find(request.path_params["id"]).document())

    async def drop_job(self, request: Request) -> Response:
        """Cancel and forget a clip."""
        self._jobs.drop(request.path_params["id"])
        return Response(status_code=204)

    async def job_result(self, request: Request) -> Response:
        """The maps of a clip, or the movie with its overlay."""
        job = self._jobs.find(request.path_params["id"])
        if job.status != "done":
            raise Refusal(409, job.error or "this clip is not finished")
        if _choice(request, "format", "json", ("json", "mp4")) == "json":
            return FileResponse(job.order.result, media_type="application/json")
        return FileResponse(job.order.movie, media_type="video/mp4")

    def _model(self, request: Request) -> str:
        return _choice(request, "model", self._models[0], self._models)


def _choice(request: Request, name: str, default: str, known: Sequence[str]) -> str:
    value = request.query_params.get(name, default)
    if value not in known:
        raise Refusal(400, f"{name} must be one of {', '.join(known)}")
    return value


def _number(request: Request, name: str, default: float) -> float:
    """A number in [0, 1]."""
    text = request.query_params.get(name, str(default))
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise Refusal(400, f"{name} must be a number from 0 to 1")


class _Owned(FileResponse):
    """Sends a file, and removes the folder around it, whatever becomes of the client."""

    def __init__(self, order: UploadOrder, media_type: str) -> None:
        super().__init__(order.result, media_type=media_type)
        self._folder = order.folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            remove(self._folder)
