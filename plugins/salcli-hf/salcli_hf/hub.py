"""Files of the Hugging Face Hub, by its HTTP interface.

A file is asked for at `ENDPOINT/OWNER/NAME/resolve/REVISION/FILE`. The answer's headers state the
commit that the revision stands for (`X-Repo-Commit`) and the file's hash: SHA-256 for a large file
(`X-Linked-Etag`), git's hash of the content for a small one (`ETag`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import requests

from salcli import WeightsError
from salcli.authoring import fetch

__all__ = ["HubFile", "download"]

ENDPOINT = "https://huggingface.co"
ADDRESS = re.compile(r"hf://([\w.-]+)/([\w.-]+)(?:@([^/]+))?/(.+)")
TIMEOUT = 30.0
BLOCK = 1 << 20


@dataclass(frozen=True)
class HubFile:
    """A file in a model repository of the Hub.

    Attributes:
        repository: `OWNER/NAME`.
        revision: A branch, a tag, or a commit.
        path: Of the file in the repository.
    """

    repository: str
    revision: str
    path: str

    @classmethod
    def parse(cls, url: str) -> HubFile:
        """The file of an address `hf://OWNER/NAME[@REVISION]/FILE`; a `/` in a revision is `%2F`.

        Raises:
            WeightsError: It is no such address.
        """
        found = ADDRESS.fullmatch(url)
        if found is None:
            raise WeightsError(f"'{url}' is not hf://OWNER/NAME[@REVISION]/FILE")
        owner, name, revision, path = found.groups()
        return cls(f"{owner}/{name}", revision or "main", path)

    @property
    def address(self) -> str:
        """Where it is downloaded; `HF_ENDPOINT` names another server than the Hub itself."""
        endpoint = os.environ.get("HF_ENDPOINT") or ENDPOINT
        revision, path = quote(self.revision, safe="%"), quote(self.path)
        return f"{endpoint.rstrip('/')}/{self.repository}/resolve/{revision}/{path}"


def download(url: str, target: Path, report: Callable[[int, int | None], None]) -> None:
    """Download a file into `target`, at the very commit that its revision stands for.

    The environment variable `HF_TOKEN` opens private and gated repositories.

    Raises:
        WeightsError: There is no such file, it may not be read, or other bytes arrived than the
            Hub has.
    """
    wanted, token = HubFile.parse(url), os.environ.get("HF_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    stated = _look_up(wanted, headers)
    exact = replace(wanted, revision=stated.get("X-Repo-Commit", wanted.revision))
    fetch(exact.address, target, report, headers=headers)
    tag = stated.get("X-Linked-Etag") or stated.get("ETag", "")
    expected = tag.removeprefix("W/").strip('"')
    found = {40: _git_hash, 64: _sha256}.get(len(expected), lambda _: expected)(target)
    if found != expected:
        target.unlink(missing_ok=True)
        raise WeightsError(f"the file has the hash {found}, but the Hub states {expected}")


def _look_up(file: HubFile, headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers in which the Hub describes the file.

    Raises:
        WeightsError: It cannot be reached, has no such file, or does not give it to everybody.
    """
    asked = {"Accept-Encoding": "identity", **headers}
    try:
        answer = requests.head(file.address, headers=asked, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise WeightsError(f"no answer from the Hub: {error}") from error
    if answer.status_code in (401, 403):
        raise WeightsError(
            f"'{file.repository}' is private or gated, or does not exist; accept its terms on the "
            "Hub, and set HF_TOKEN to your token"
        )
    if answer.status_code == 404:
        raise WeightsError(
            f"'{file.repository}' has no '{file.path}' at revision '{file.revision}'"
        )
    if not answer.status_code < 400:
        raise WeightsError(f"the Hub answered {answer.status_code} {answer.reason}")
    return answer.headers


def _sha256(path: Path) -> str:
    return _hashed(path, hashlib.sha256())


def _git_hash(path: Path) -> str:
    header = f"blob {path.stat().st_size}\0".encode()
    return _hashed(path, hashlib.sha1(header, usedforsecurity=False))


def _hashed(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
