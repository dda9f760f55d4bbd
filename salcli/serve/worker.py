"""The model process: decodes uploads and runs models, so that the server itself does neither.

A hostile file can at worst end this process, and what a model takes of memory goes with it. Between
two steps of a clip it answers the pictures that came meanwhile.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

from salcli.errors import InputError, PluginError, SalcliError, UnknownName, UsageError
from salcli.models.loading import Loaded, load_model
from salcli.serve import clips, pictures
from salcli.serve.limits import Refusal
from salcli.serve.orders import UploadOrder, WorkerSettings
from salcli.terminal import ending

__all__ = ["main"]

MOST_MODELS = 2
"""How many models are kept loaded: one for pictures and another for a clip."""


def main(connection: Connection, settings: WorkerSettings) -> None:
    """Answer orders until the server closes the connection, or ends."""
    with ending.listening():
        try:
            _Worker(connection, settings).run()
        except (EOFError, OSError, KeyboardInterrupt):
            return


class _Worker:
    def __init__(self, connection: Connection, settings: WorkerSettings) -> None:
        self._connection, self._settings = connection, settings
        self._models: OrderedDict[str, Loaded] = OrderedDict()
        self._clip: tuple[UploadOrder, Iterator[Mapping[str, Any]]] | None = None

    def run(self) -> None:
        """Answer orders.

        Raises:
            EOFError, OSError: The server has gone.
        """
        while True:
            while self._clip is None or self._connection.poll():
                self._take(self._connection.recv())
            self._advance(*self._clip)

    def _take(self, message: UploadOrder | str) -> None:
        """Run a picture, begin a clip, or cancel the clip with this id."""
        if isinstance(message, str):
            if self._clip and self._clip[0].id == message:
                self._end_clip()
            return
        try:
            loaded = self._loaded(message.model)
            if message.work == "clip":
                self._clip = message, clips.run(message, loaded, self._settings.limits)
                return
            self._tell(message, "done", pictures.run(message, loaded, self._settings.limits))
        except Exception as error:
            self._tell(message, "failed", _failure(error, message))

    def _advance(self, order: UploadOrder, steps: Iterator[Mapping[str, Any]]) -> None:
        try:
            progress = next(steps, None)
        except Exception as error:
            self._end_clip()
            self._tell(order, "failed", _failure(error, order))
            return
        if progress is None:
            self._end_clip()
            self._tell(order, "done", {"form": "json"})
        else:
            self._tell(order, "progress", progress)

    def _end_clip(self) -> None:
        if self._clip is not None:
            self._clip[1].close()  # type: ignore[attr-defined]
            self._clip = None

    def _tell(self, order: UploadOrder, event: str, facts: Mapping[str, Any]) -> None:
        # as JSON: the server does not trust a process that reads strangers' files
        self._connection.send_bytes(json.dumps([order.id, event, facts]).encode())

    def _loaded(self, name: str) -> Loaded:
        """The model; never downloads anything."""
        if name not in self._models:
            self._models[name] = load_model(name, device=self._settings.device, offline=True)
        self._models.move_to_end(name)
        while len(self._models) > MOST_MODELS:
            self._models.popitem(last=False)
        return self._models[name]


def _failure(error: Exception, order: UploadOrder) -> dict[str, Any]:
    """Status and text for the client, who does not know our paths."""
    statuses = {Refusal: 0, InputError: 415, UnknownName: 404, UsageError: 400, PluginError: 500}
    status = next((code for kind, code in statuses.items() if isinstance(error, kind)), 500)
    text = str(error) if isinstance(error, SalcliError) else f"{type(error).__name__}: {error}"
    shown = text.replace(f"'{order.upload}'", "the upload").replace(str(order.folder), "")
    return {"status": error.status if isinstance(error, Refusal) else status, "error": shown}
