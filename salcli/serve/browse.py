"""Shows a folder of results: reports, pictures, movies and documents."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Sequence
from pathlib import Path
from string import Template
from urllib.parse import quote

from natsort import natsorted
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from salcli.serve.guard import SANDBOX

__all__ = ["routes"]

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
MOVIES = frozenset({".mp4", ".webm"})

TYPES = {
    **{".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"},
    **{".webp": "image/webp", ".mp4": "video/mp4", ".webm": "video/webm"},
    **{".html": "text/html; charset=utf-8", ".pdf": "application/pdf"},
    **dict.fromkeys((".json", ".csv", ".txt", ".md", ".jsonl"), "text/plain; charset=utf-8"),
}
"""What a browser is told of a file; any other is only downloaded."""

MOST = 2000
"""How many entries of a folder are shown."""


def routes(folder: Path) -> list[BaseRoute]:
    """The routes of a folder."""
    root = folder.resolve()

    async def show(request: Request) -> Response:
        return await asyncio.to_thread(_show, root, request.path_params["path"])

    return [
        Route("/files", lambda _: RedirectResponse("/files/")),
        Route("/files/{path:path}", show, methods=["GET"]),
    ]


def _show(root: Path, wanted: str) -> Response:
    path = _inside(root, wanted)
    if path.is_dir():
        if wanted and not wanted.endswith("/"):
            return RedirectResponse(f"/files/{quote(wanted)}/")
        return HTMLResponse(_page(root, path))
    kind = TYPES.get(path.suffix.lower())
    return FileResponse(
        path,
        media_type=kind or "application/octet-stream",
        filename=None if kind else path.name,
        # a page of a folder is not ours, whoever put it there
        headers={"Content-Security-Policy": SANDBOX},
    )


def _inside(root: Path, wanted: str) -> Path:
    """The file or folder, if it is below the root, links followed, and not hidden."""
    try:
        path = (root / wanted).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise HTTPException(404, "there is no such file") from None
    hidden = (
        any(part.startswith(".") for part in path.relative_to(root).parts)
        if (path.is_relative_to(root))
        else True
    )
    if hidden or not (path.is_dir() or path.is_file()):
        raise HTTPException(404, "there is no such file")
    return path


def _page(root: Path, folder: Path) -> str:
    found = natsorted(
        (path for path in folder.iterdir() if not path.name.startswith(".")),
        key=lambda path: path.name,
    )
    shown = found[:MOST]
    folders = [path for path in shown if path.is_dir()]
    files = [path for path in shown if path.is_file()]
    reports = [path for path in files if path.suffix.lower() == ".html"]
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    movies = [path for path in files if path.suffix.lower() in MOVIES]
    other = [path for path in files if path not in {*reports, *pictures, *movies}]
    parts = [
        _links("Reports", reports, "report"),
        _links("Folders", folders, "folder"),
        _media("Movies", movies, '<video controls preload="metadata" src="{}"></video>'),
        _media("Pictures", pictures, '<img loading="lazy" alt="" src="{}">'),
        _links("Files", other, "file"),
    ]
    if len(found) > MOST:
        parts.append(f"<p>{len(found) - MOST} more are not shown.</p>")
    title = "/".join((root.name, *folder.relative_to(root).parts))
    up = '<a href="../">one folder up</a>' if folder != root else '<a href="/">predict</a>'
    template = (Path(__file__).with_name("static") / "folder.html").read_text("utf-8")
    return Template(template).substitute(
        title=html.escape(title), up=up, parts="\n".join(filter(None, parts)) or "<p>Empty.</p>"
    )


def _links(title: str, paths: Sequence[Path], kind: str) -> str:
    rows = "".join(
        f'<li class="{kind}"><a href="{_address(path)}">{html.escape(path.name)}</a></li>'
        for path in paths
    )
    return f"<section><h2>{title}</h2><ul>{rows}</ul></section>" if rows else ""


def _media(title: str, paths: Sequence[Path], element: str) -> str:
    rows = "".join(
        f'<figure>{element.format(_address(path))}<figcaption><a href="{_address(path)}">'
        f"{html.escape(path.name)}</a></figcaption></figure>"
        for path in paths
    )
    return f'<section><h2>{title}</h2><div class="grid">{rows}</div></section>' if rows else ""


def _address(path: Path) -> str:
    """Relative to its folder; the dot keeps a colon in a name from looking like a scheme."""
    return html.escape(f"./{quote(path.name)}{'/' if path.is_dir() else ''}")
