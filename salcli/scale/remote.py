"""Inputs and results in object stores, at addresses such as `s3://bucket/clips`.

One object is copied to a scratch folder, predicted there, and what was made is put into the store
when it is whole, the record last. A claim is an object that only one process can create. Needs
fsspec and its part for the store, such as s3fs.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from salcli.errors import InputError, OutputError, SalcliError, UsageError
from salcli.files.atomic import temporary_folder
from salcli.media.images import SUFFIXES
from salcli.media.inputs import VIDEO_SUFFIXES, in_store
from salcli.models.loading import Loaded
from salcli.prediction import claims, manifest
from salcli.prediction.claims import Claim, ClaimedElsewhere
from salcli.prediction.job import CopyOf, Job, Outcome
from salcli.prediction.manifest import OutputPaths, places
from salcli.scale.prediction import PredictionOrder, report
from salcli.terminal.events import Watcher

__all__ = ["StoreOrder", "StoredTask", "stored_tasks"]


@dataclass(frozen=True)
class StoredTask:
    """One input to predict, of which the source, the results, or both are in a store.

    Attributes:
        source: Address or path.
        name: Of its results, below `output`.
        output: Address or path.
        state: Size and version of the object that is the source; empty for a file.
    """

    source: str
    name: str
    output: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class StoreOrder:
    """The prediction of such inputs; an `Order`."""

    local: PredictionOrder

    def begin(self, device: str) -> Callable[[StoredTask, Watcher], Outcome]:
        """Load the model."""
        return partial(_predict, self.local.loaded(device))

    def work(self, loaded: Loaded) -> Callable[[StoredTask, Watcher], Outcome]:
        """What is done with each input, by a model that is loaded already."""
        return partial(_predict, self.local.job(loaded))

    def title(self, unit: StoredTask) -> str:
        """The input."""
        return unit.source

    def size(self, unit: StoredTask) -> int:
        """Bytes of the input."""
        return int(unit.state.get("bytes", 0))

    def died(self, unit: StoredTask, worker: str) -> None:
        """Take the claims on the input from the worker."""
        if in_store(unit.output):
            for single in (False, True):
                claims.abandon(_claim(unit, single=single), worker)

    def failed(self, unit: StoredTask, error: str, *, died: bool) -> Outcome:
        """An outcome that says why."""
        return Outcome(unit.source, unit.output, "failed", error=error)


def stored_tasks(inputs: Sequence[str], output: Path) -> list[StoredTask]:
    """A task for each input; addresses may be globs, and folders stand for the media in them.

    Args:
        inputs: Addresses and files.
        output: A folder, or an address as a path, in which two slashes have become one.

    Raises:
        UsageError: A part of fsspec is not installed, or there is no such store.
        InputError: Nothing is found at an address.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for text in inputs:
        found |= _objects(text) if in_store(text) else {str(Path(text).absolute()): {}}
    place = re.sub(r"^([A-Za-z][\w+.-]+):/(?=[^/])", r"\1://", str(output))
    if in_store(place):
        _store(place)
    else:
        place = str(output.absolute())
    keys = [Path("/", text.partition("://")[2] or text) for text in found]
    names = [each.name for each in places(keys, Path(place))]
    rows = zip(found.items(), names, strict=True)
    return [StoredTask(source, name, place, state) for (source, state), name in rows]


def _objects(address: str) -> dict[str, Mapping[str, Any]]:
    """The media at an address, with what tells their versions apart."""
    store, path = _store(address), address.rstrip("/")
    scheme = address.partition("://")[0]
    with _reaching(address, InputError):
        listed = store.glob(path, detail=True)
        if len(listed) == 1 and next(iter(listed.values()))["type"] == "directory":
            listed = store.find(path, detail=True)
    media = SUFFIXES | VIDEO_SUFFIXES
    files: dict[str, Mapping[str, Any]] = {
        f"{scheme}://{name.lstrip('/')}": _state(info)
        for name, info in sorted(listed.items())
        if info["type"] == "file" and PurePosixPath(name).suffix.lower() in media
    }
    if not files:
        raise InputError(f"there are no images or videos at '{address}'")
    return files


def _state(info: Mapping[str, Any]) -> dict[str, Any]:
    name = PurePosixPath(info["name"]).name
    versions = (info.get(key) for key in ("ETag", "etag", "mtime"))
    version = str(next(filter(None, versions), "")).strip('"')
    return {"name": name, "files": 1, "bytes": info["size"], "version": version}


@cache
def _opened(scheme: str) -> Any:
    try:
        import fsspec

        return fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        raise UsageError(
            f"{scheme}:// needs a package that is not installed ({error}); pip install "
            "'salcli[remote]' and the part of fsspec for this store, such as s3fs"
        ) from error
    except ValueError as error:
        raise UsageError(f"there is no store {scheme}://: {error}") from error


def _store(address: str) -> Any:
    """The file system of a store."""
    return _opened(address.partition("://")[0])


@contextmanager
def _reaching(address: str, failure: type[SalcliError]) -> Iterator[None]:
    """Say which object cannot be read or written, and why: each store has errors of its own."""
    try:
        yield
    except (SalcliError, FileNotFoundError, FileExistsError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise failure(f"'{address}' cannot be reached: {type(error).__name__}: {text}") from error


@dataclass(frozen=True)
class _ClaimObject:
    """A claim that is an object of a store."""

    address: str

    @property
    def name(self) -> str:
        return self.address.rpartition("/")[2]

    def beside(self, name: str) -> _ClaimObject:
        return _ClaimObject(f"{self.address.rpartition('/')[0]}/{name}")

    def create(self, content: bytes) -> bool:
        try:
            with _reaching(self.address, OutputError):
                _store(self.address).pipe_file(self.address, content, mode="create")
        except FileExistsError:
            return False
        return True

    def read(self) -> bytes | None:
        try:
            with _reaching(self.address, OutputError):
                content: bytes = _store(self.address).cat_file(self.address)
        except FileNotFoundError:
            return None
        return content

    def replace(self, content: bytes) -> None:
        with _reaching(self.address, OutputError):
            _store(self.address).pipe_file(self.address, content)

    def touch(self) -> None:
        content = self.read()
        if content is not None:
            self.replace(content)

    def remove(self) -> None:
        if self.read() is not None:
            _store(self.address).rm_file(self.address)

    def age(self) -> float:
        clock = self.beside(f".salcli-clock-{uuid.uuid4().hex}")
        clock.replace(b"")
        try:
            store = _store(self.address)
            now, then = store.modified(clock.address), store.modified(self.address)
        except FileNotFoundError:
            return 0.0
        finally:
            clock.remove()
        return float((now - then).total_seconds())


def _claim(task: StoredTask, *, single: bool) -> _ClaimObject:
    place = OutputPaths(Path(), task.name)
    return _ClaimObject(f"{task.output}/{place.claim_file(single=single)}")


def _predict(job: Job, task: StoredTask, watcher: Watcher) -> Outcome:
    """Fetch, predict, and put what was made."""
    began = time.monotonic()
    with temporary_folder() as desk:
        there = in_store(task.output)
        here = OutputPaths(desk / "out" if there else Path(task.output), task.name)
        source = Path(task.source)
        outcome: Outcome | None = None
        if task.state:
            job = replace(job, origin=CopyOf(task.source, task.state))
            source = desk / "in" / str(task.state["name"])
            outcome = _done(job, task, source, here) if there else None
            if outcome is None:
                _fetch(task, source)
        if outcome is None:
            run = partial(_into_store, job, task) if there else job.run
            outcome = run(source, here, watcher=watcher)
        outcome = replace(outcome, source=task.source, results=f"{task.output}/{task.name}")
    return report(replace(outcome, seconds=time.monotonic() - began), watcher)


def _done(job: Job, task: StoredTask, source: Path, here: OutputPaths) -> Outcome | None:
    """The outcome of an input whose results are in the store, without fetching it."""
    for single in (False, True):
        file = here.record_file(single=single)
        _get(f"{task.output}/{file.relative_to(here.output)}", file)
        record = here.read(single=single)
        file.unlink(missing_ok=True)
        if record is not None and job.covers(record, source):
            problems = tuple(record["problems"])
            return Outcome(source, here.output, "skipped", record["frames"], problems=problems)
    return None


def _fetch(task: StoredTask, target: Path) -> None:
    target.parent.mkdir(parents=True)
    with _reaching(task.source, InputError):
        store = _store(task.source)
        store.get_file(task.source, str(target))
        state = _state(store.info(task.source))
    if state != task.state:
        raise InputError(f"'{task.source}' changed since it was listed; predict it again")


def _into_store(
    job: Job, task: StoredTask, source: Path, here: OutputPaths, *, watcher: Watcher
) -> Outcome:
    single = manifest.is_single(source, job.kind)
    record = here.record_file(single=single)
    there = f"{task.output}/{record.relative_to(here.output)}"
    try:
        with claims.claimed(_claim(task, single=single)) as claim:
            _get(there, record)
            before = here.read(single=single)
            if before is not None and job.covers(before, source):
                return Outcome(task.source, task.output, "skipped", before["frames"])
            touching = _Touching(watcher, claim)
            try:
                outcome = job.run(source, here, watcher=touching)
            except SalcliError:
                _put([here.failure_file(single=single)], here.output, task.output)
                raise
            made = here.read(single=single)
            files = list(here.files(made)) if made else []
            _put([file for file in files if file.exists()], here.output, task.output)
            _put([record], here.output, task.output)
            stale = set(here.files(before or {"single": single, "files": {}})) - set(files)
            _remove([*stale, here.failure_file(single=single)], here.output, task.output)
    except ClaimedElsewhere as error:
        return Outcome(task.source, task.output, "elsewhere", holder=str(error))
    return outcome


class _Touching(Watcher):
    """Touches a claim while frames pass, and tells another watcher."""

    def __init__(self, watcher: Watcher, claim: Claim) -> None:
        self._claim = claim
        self.start, self.note, self.say = watcher.start, watcher.note, watcher.say  # type: ignore[method-assign]
        self._step = watcher.step

    def step(self) -> None:
        """Touch, and tell."""
        self._claim.touch()
        self._step()


def _get(address: str, file: Path) -> None:
    """Copy an object that may not exist."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _reaching(address, OutputError):
            _store(address).get_file(address, str(file))
    except FileNotFoundError:
        file.unlink(missing_ok=True)


def _put(files: Sequence[Path], folder: Path, address: str) -> None:
    """Copy whole files into a store."""
    targets = [f"{address}/{file.relative_to(folder)}" for file in files]
    if files:
        with _reaching(address, OutputError):
            _store(address).put([str(file) for file in files], targets)


def _remove(files: Sequence[Path], folder: Path, address: str) -> None:
    """Remove the objects of files, of those that exist."""
    store = _store(address)
    for file in files:
        target = f"{address}/{file.relative_to(folder)}"
        with _reaching(target, OutputError):
            if store.exists(target):
                store.rm_file(target)
