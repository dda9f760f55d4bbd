"""File-sharing sites: their links, and the pages that they serve instead of a file.

Google Drive's pages are recognised by what they contain, not by their host, because a mirror or a
proxy may serve them as well.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

__all__ = ["confirmed_link", "direct_link", "explain", "is_page"]

DRIVE_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
DRIVE_DOWNLOAD = "https://drive.usercontent.google.com/download"
DROPBOX_HOSTS = ("dropbox.com", "www.dropbox.com")

PAGE_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|script|!--|\?xml)", re.IGNORECASE
)
"""How a web page begins; `<` alone is not enough: a safetensors file may begin with it."""

QUOTA = ("quota exceeded", "too many users have viewed or downloaded this file")
SIGN_IN = ("accounts.google.com/signin", "accounts.google.com/v3/signin", "you need access")


def direct_link(url: str) -> str:
    """The download address behind a share link of Google Drive or Dropbox; others unchanged."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.hostname in DROPBOX_HOSTS:
        return urlunsplit(parts._replace(query=urlencode({**query, "dl": "1"})))
    if parts.hostname in DRIVE_HOSTS:
        in_path = re.search(r"/d/([\w-]+)", parts.path)
        identifier = in_path.group(1) if in_path else query.get("id")
        if identifier:
            key = {"resourcekey": query["resourcekey"]} if "resourcekey" in query else {}
            asked = {"id": identifier, "export": "download", "confirm": "t", **key}
            return f"{DRIVE_DOWNLOAD}?{urlencode(asked)}"
    return url


def is_page(content_type: str, head: bytes) -> bool:
    """Whether the header `content_type`, or `head`, a file's first bytes, say that it is HTML."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or bool(PAGE_START.match(head))


def confirmed_link(page: str, url: str) -> str | None:
    """Where the "download anyway" button of Google Drive's virus scan warning leads.

    Args:
        page: The HTML text.
        url: The address that served it; a relative form action is resolved against it.

    Returns:
        `None` if the page has no such form, or if the form leads to something other than http(s).
    """
    form = _Form()
    form.feed(page)
    if form.action is None or "confirm" not in form.fields:
        return None
    parts = urlsplit(urljoin(url, form.action))
    if parts.scheme not in ("http", "https"):
        return None
    query = {**dict(parse_qsl(parts.query)), **form.fields}
    return urlunsplit(parts._replace(query=urlencode(query)))


def explain(page: str) -> str:
    """Why the site served a page instead of the file, and what to do about it."""
    lowered = page.lower()
    if any(sign in lowered for sign in QUOTA):
        return "Google Drive's download quota for this file is exceeded; try again in 24 hours"
    if any(sign in lowered for sign in SIGN_IN):
        return "the file is not public: the site asks you to sign in"
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    words = " ".join(title.group(1).split())[:80] if title else ""
    return f"the site served a web page instead of the file{f': {words!r}' if words else ''}"


class _Form(HTMLParser):
    """Action and hidden fields of the form `download-form`."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("id") == "download-form":
            self.action, self._inside = given.get("action", ""), True
        elif tag == "input" and self._inside and given.get("type", "").lower() == "hidden":
            self.fields[given.get("name", "")] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
