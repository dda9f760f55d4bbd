"""What the server asks of its model process: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from salcli.serve.limits import ServerLimits

__all__ = ["UploadOrder", "WorkerSettings", "Work"]

Work: TypeAlias = Literal["picture", "clip"]


@dataclass(frozen=True)
class WorkerSettings:
    """What the model process is made with.

    Attributes:
        device: See `salcli.models.loading.load_model`.
        limits: What it takes at most.
    """

    device: str
    limits: ServerLimits


@dataclass(frozen=True)
class UploadOrder:
    """One upload and what is wanted of it.

    Attributes:
        id: Unique while the server runs.
        work: Of what kind the upload is.
        folder: Where it is, as `upload`, maybe with `areas.json`, and where results go.
        model: `NAME` or `NAME:TAG`.
        form: Of a picture's result: `json`, `png`, `npy`, `areas`, or the name of a style.
        alpha: Opacity for a style.
        kinds: Of the areas that are found; see `salcli.areas.auto.find`.
    """

    id: str
    work: Work
    folder: Path
    model: str
    form: str = "json"
    alpha: float = 0.55
    kinds: tuple[str, ...] = ()

    @property
    def upload(self) -> Path:
        """The uploaded file. Its name is ours, whatever the client called it."""
        return self.folder / "upload"

    @property
    def areas_file(self) -> Path:
        """The areas that came with it, if any."""
        return self.folder / "areas.json"

    @property
    def result(self) -> Path:
        """What is made of it."""
        return self.folder / "result"

    @property
    def movie(self) -> Path:
        """The overlay of a clip."""
        return self.folder / "overlay.mp4"
