"""Small fake plugins that are really installed, and the salcli command with them."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# how fast a busy machine is, is no property of the code
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

FAKES = Path(__file__).parent / "fakes"

Run = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_finish() -> None:
    """What was imported stays, and torch is much: a sixth of the time went into searching it."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let go of everything at the end, or libraries complain of leaks."""
    gc.unfreeze()


def install(site: Path, package: str, *, name: str | None = None, entry: str | None = None) -> None:
    """Install tests/fakes/PACKAGE into a folder as pip does, files and entry point."""
    distribution = name or package.replace("_", "-")
    shutil.copytree(
        FAKES / package,
        site / package,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    folder = site / f"{distribution.replace('-', '_')}-1.5.dist-info"
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n"
    (folder / "METADATA").write_text(metadata)
    point = entry or package.removeprefix("salcli_")
    (folder / "entry_points.txt").write_text(f"[salcli]\n{point} = {package}\n")


@pytest.fixture(scope="session")
def fake_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site folder with the obedient fake plugin."""
    site = tmp_path_factory.mktemp("fake")
    install(site, "salcli_fake")
    return site


@pytest.fixture(scope="session")
def wrong_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site folder with the plugin whose models are all wrong."""
    site = tmp_path_factory.mktemp("wrong")
    install(site, "salcli_wrong")
    return site


def forget_plugins() -> None:
    from salcli.plugins import loader, registry

    loader.load.cache_clear()
    registry._models.cache_clear()
    registry._datasets.cache_clear()
    registry._engines.cache_clear()
    registry._filters.cache_clear()
    registry._metrics.cache_clear()
    registry._protocols.cache_clear()
    registry._styles.cache_clear()


@pytest.fixture
def install_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make the plugins of site folders known to this process, until the test ends."""

    def known(*sites: Path) -> None:
        for site in sites:
            monkeypatch.syspath_prepend(site)
        forget_plugins()

    yield known
    forget_plugins()


@pytest.fixture
def fresh_shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs lines of bash in tmp_path, where pip installs into an environment of its own.

    It has salcli as a wheel and the libraries of this environment, but nothing else of this
    project. pip may ask a package index.
    """
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    (site,) = fresh.glob("lib/**/site-packages")
    (site / "libraries.pth").write_text(str(Path(pytest.__file__).parents[1]))
    path = f"{fresh / 'bin'}{os.pathsep}{os.environ['PATH']}"
    known = {k: v for k, v in os.environ.items() if not k.startswith(("SALCLI_", "PYTHON"))}

    def run(line: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment_ = {**known, "PATH": path, "OMP_NUM_THREADS": "1", **more}
        return subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment_, capture_output=True, text=True
        )

    done = run(f"pip install --no-deps {Path(__file__).parents[1]} && salcli --version")
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def fakes(install_plugins: Callable[..., None], fake_site: Path) -> None:
    """The obedient fake plugin, in this process."""
    install_plugins(fake_site)


@pytest.fixture(scope="package")
def fakes_of_package(fake_site: Path) -> Iterator[None]:
    """The obedient fake plugin, in this process, for all tests of a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(fake_site)
        forget_plugins()
        yield
    forget_plugins()


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[..., Path]:
    """Install several plugins, given as (package, distribution, entry point), into one folder."""

    def make(*wanted: str | tuple[str, str, str]) -> Path:
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        for plugin in wanted:
            package, name, entry = (plugin, None, None) if isinstance(plugin, str) else plugin
            install(site, package, name=name, entry=entry)
        return site

    return make


def environment(sites: Sequence[Path], **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SALCLI_")}
    path = os.pathsep.join(map(str, sites))
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **more}


@pytest.fixture
def fake_environment(fake_site: Path) -> Callable[..., dict[str, str]]:
    """The environment of a process with the fake plugin."""
    return partial(environment, [fake_site])


@pytest.fixture
def salcli(fakes: None, salcli: Run) -> Run:
    """Run the salcli command in tmp_path, with the fake plugin installed, inside this process."""
    return salcli


@dataclass
class Ended:
    """How processes ended: exit codes, negative for a signal, and what they printed on stderr."""

    codes: list[int]
    errors: list[str]


@pytest.fixture(scope="session")
def temporaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for temporary files of `processes`."""
    return tmp_path_factory.mktemp("temporaries")


@pytest.fixture(scope="session")
def processes(fake_site: Path, temporaries: Path) -> Iterator[Callable[..., Ended]]:
    """Run several commands at once, each in a process of its own; see tests/forking.py.

    `after` and `number`: after how many seconds they get which signal; after several pauses, they
    get it several times. `seen`: the first pause begins when this file is there. `kill_at`: at
    which map each is killed.
    """
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("forking.py"))],
        env=environment([fake_site], TMPDIR=str(temporaries)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(
            *commands: Sequence[str | Path],
            folder: Path,
            after: float | Sequence[float] = (),
            seen: Path | None = None,
            number: int = signal.SIGKILL,
            kill_at: int | None = None,
        ) -> Ended:
            assert process.stdin is not None
            assert process.stdout is not None
            wanted = {
                "commands": [[str(part) for part in command] for command in commands],
                "folder": str(folder),
                "pauses": [after] if isinstance(after, float) else after,
                "seen": str(seen or ""),
                "signal": number,
                "kill_at": kill_at,
            }
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            return Ended(**json.loads(process.stdout.readline()))

        yield run
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def salcli_process(fake_site: Path, tmp_path: Path) -> Run:
    """Run the salcli command as a process of its own, with the plugins of the site folders."""

    def run(
        *arguments: str | Path, sites: Sequence[Path] = (fake_site,), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "salcli", *map(str, arguments)],
            cwd=tmp_path,
            env=environment(sites, **variables),
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def driver(fake_site: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `salcli predict` in a session of its own, and wait until a map is there."""
    (tmp_path / "tmp").mkdir()
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str | Path, seen: str = "") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "salcli", "predict", *map(str, arguments)]
        variables = environment([fake_site], TMPDIR=str(tmp_path / "tmp"))
        with (tmp_path / "errors").open("wb") as errors:
            process = subprocess.Popen(
                command,
                cwd=tmp_path,
                env=variables,
                stderr=errors,
                start_new_session=True,
                # what a shell starts in the background ignores it, and so would this
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        started.append(process)
        until = time.monotonic() + 120
        while seen and not list(tmp_path.glob(seen)) and time.monotonic() < until:
            assert process.poll() is None, (tmp_path / "errors").read_text()
            time.sleep(0.1)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
