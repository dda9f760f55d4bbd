"""Small fake plugins that are really installed, small stimuli, and the salcli command."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import imageio_ffmpeg
import pytest

if TYPE_CHECKING:
    import torch

FAKES = Path(__file__).parent / "fakes"

Run = Callable[..., subprocess.CompletedProcess[str]]


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
    for found in (registry._models, registry._datasets, registry._metrics, registry._styles):
        found.cache_clear()


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
def fakes(install_plugins: Callable[..., None], fake_site: Path) -> None:
    """The obedient fake plugin, in this process."""
    install_plugins(fake_site)


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
def salcli(
    fakes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:
    """Run the salcli command in tmp_path, with the fake plugin installed, inside this process."""
    from salcli import cli

    for variable in [name for name in os.environ if name.startswith("SALCLI_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["salcli", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        code = end.value.code
        assert isinstance(code, int | None)
        return subprocess.CompletedProcess(command, code or 0, *capfd.readouterr())

    return run


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


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 12 frames, 64 x 48, 8 frames per second, with a moving pattern."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    source = "testsrc=size=64x48:rate=8:duration=1.5"
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", path]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="session")
def sw1() -> Callable[..., None]:
    """Fill a network with the synthetic weights that the goldens were computed with (rule SW1).

    Each tensor is drawn with a seed made of `salt` and its key. `gains` maps a key pattern to the
    gain of what it matches, the last that fits counts; `special` maps one to a function that makes
    the array from what the rule gives.
    """
    import zlib
    from fnmatch import fnmatchcase

    import numpy as np
    import torch

    def draw(key: str, tensor: torch.Tensor, salt: str, gain: float) -> np.ndarray:
        random = np.random.RandomState(zlib.crc32((salt + key).encode()))
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            return np.zeros(shape)
        if key.endswith("running_var") or (tensor.ndim == 1 and key.endswith("weight")):
            return random.uniform(0.5, 1.5, shape)
        if tensor.ndim < 2 or key.endswith("running_mean"):
            return np.asarray(0.1 * random.randn(*shape))
        return random.randn(*shape) * gain * np.sqrt(2 / (tensor.numel() / shape[0]))

    def fill(
        network: torch.nn.Module,
        *,
        salt: str = "",
        gains: Mapping[str, float] | None = None,
        special: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
    ) -> None:
        state = {}
        for key, tensor in network.state_dict().items():
            fitting = [gain for pattern, gain in (gains or {}).items() if fnmatchcase(key, pattern)]
            array = draw(key, tensor, salt, fitting[-1] if fitting else 1.0)
            for pattern, change in (special or {}).items():
                array = change(array) if fnmatchcase(key, pattern) else array
            state[key] = torch.as_tensor(array).to(tensor.dtype)
        network.load_state_dict(state)

    return fill


@pytest.fixture(scope="session")
def unisal_sw1(sw1: Callable[..., None]) -> Callable[..., None]:
    """Fill a UNISAL network with the synthetic weights of its goldens, which state the rule."""
    import numpy as np

    def smoothing(kernel: np.ndarray) -> np.ndarray:
        return np.abs(kernel) / np.abs(kernel).sum()

    gains = {"cnn.*": 0.75, "adaptation*.weight": 0.5}

    def fill(network: torch.nn.Module, *, salt: str = "") -> None:
        sw1(network, salt=salt, gains=gains, special={"smoothing*": smoothing})

    return fill


@pytest.fixture(scope="session")
def golden_input() -> Callable[..., torch.Tensor]:
    """The network input `[B, T, 3, H, W]` of UNISAL's goldens, by the formula that they state."""
    import numpy as np
    import torch

    def compute(shape: tuple[int, int, int, int], phase: float) -> torch.Tensor:
        batch, steps, height, width = shape
        b, t, c, y, x = np.meshgrid(
            *map(np.arange, (batch, steps, 3, height, width)), indexing="ij"
        )
        values = (
            np.sin(0.11 * x + 0.5 * t + 0.9 * c + phase)
            + np.cos(0.17 * y - 0.3 * t + 1.3 * b)
            + 0.5 * np.sin(0.05 * x * (1 + c) + 0.07 * y + 0.2 * t * b)
        )
        return torch.from_numpy(values.astype(np.float32))

    return compute


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Root of a dataset of a few tiny files in its published layout, by name; made once.

    The names are those of `MAKERS` in tests/datasets/miniatures.py. Copy a root before you break
    something below it.
    """
    makers = runpy.run_path(str(Path(__file__).parent / "datasets" / "miniatures.py"))["MAKERS"]
    roots: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in roots:
            roots[name] = tmp_path_factory.mktemp("data") / name
            roots[name].mkdir()
            makers[name](roots[name])
        return roots[name]

    return make
