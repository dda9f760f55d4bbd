"""Receives uploads into files of our own naming, within limits of size and time."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from salcli.serve.limits import Refusal, ServerLimits

__all__ = ["Spool", "receive", "remove"]

MOST_FIELDS = 8
AREAS_BYTES = 2**20
"""Limit of a field `areas`: some ten thousand areas."""


class Spool:
    """The folders of uploads and results, and how much they may take together."""

    def __init__(self, folder: Path, limits: ServerLimits) -> None:
        self._folder, self._limits = folder, limits
        self._uploads = 0

    def folder(self) -> Path:
        """A new folder of one upload; whoever takes it removes it by `remove`.

        Raises:
            Refusal: There is no room.
        """
        if self.size() > self._limits.spool_bytes:
            raise Refusal(429, "too many uploads are waiting", retry_after=10)
        return Path(tempfile.mkdtemp(dir=self._folder))

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """One more request is being received.

        Raises:
            Refusal: There are too many.
        """
        if self._uploads >= self._limits.uploads:
            raise Refusal(429, "too many uploads at once", retry_after=5)
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    def size(self) -> int:
        """Bytes of all files."""
        sizes = 0
        for path in self._folder.rglob("*"):
            try:
                sizes += path.stat().st_size
            except OSError:  # just removed
                continue
        return sizes


def remove(folder: Path) -> None:
    """Remove the folder of an upload, whatever state it is in."""
    shutil.rmtree(folder, ignore_errors=True)


async def receive(request: Request, folder: Path, *, limits: ServerLimits, most: int) -> None:
    """Write the body into `folder` as `upload`; a field `areas` becomes `areas.json`.

    The body is the file itself, or a form with the file as its first part. Names of the client are
    not used.

    Args:
        request: The request, whose body has not been read.
        folder: Where to write.
        limits: Of time.
        most: Largest number of bytes.

    Raises:
        Refusal: It is too large, too slow, no form, or nothing.
        ClientDisconnect: The client has gone.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise _too_large(most)
    times = 10 if most == limits.clip_bytes else 1
    bounded = Request(request.scope, _bounded(request.receive, limits, most=most))
    try:
        async with asyncio.timeout(times * limits.receive_seconds):
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                await _from_form(bounded, folder)
            else:
                with (folder / "upload").open("wb") as file:
                    async for piece in bounded.stream():
                        file.write(piece)
    except TimeoutError:
        raise Refusal(408, "the upload took too long") from None
    if not (folder / "upload").stat().st_size:
        raise Refusal(400, "the upload is empty; send the file as the body of the request")


def _bounded(receive: Receive, limits: ServerLimits, *, most: int) -> Receive:
    """The same, until too many bytes have come, or none for too long."""
    left = most

    async def next_message() -> Message:
        nonlocal left
        async with asyncio.timeout(limits.stall_seconds):
            message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(most)
        return message

    return next_message


async def _from_form(request: Request, folder: Path) -> None:
    try:
        async with _form(request) as (files, areas):
            if not files:
                raise Refusal(400, "the form has no file; call the field `file`")
            with (folder / "upload").open("wb") as target:
                await asyncio.to_thread(shutil.copyfileobj, files[0].file, target)
            if areas:
                (folder / "areas.json").write_text(areas, "utf-8")
    except (HTTPException, FormParserError) as error:  # it is malformed
        raise Refusal(400, f"the form cannot be read: {error}") from error


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[tuple[list[UploadFile], str]]:
    """The files and the areas of a form; its own temporary files are closed at the end."""
    async with request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=AREAS_BYTES) as form:
        values = [value for _, value in form.multi_items()]
        files = [value for value in values if isinstance(value, UploadFile)]
        areas = form.get("areas", "")
        yield files, areas if isinstance(areas, str) else ""


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"the upload is larger than {most / 2**20:g} MB")
