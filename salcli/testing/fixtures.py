"""Fixtures for the tests of a plugin, a pytest plugin: `pytest -p salcli.testing.fixtures`.

Needs pytest, which `salcli[testing]` installs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["Command", "clip_file", "miniature", "salcli", "sw1"]

Command: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
"""Called with the arguments of the command line; gives exit code and both outputs."""


@pytest.fixture
def salcli(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Command:
    """Run the salcli command in tmp_path, inside this process."""
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


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 12 frames, 64 x 48, 8 frames per second, with a moving pattern."""
    import imageio_ffmpeg

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
        return np.asarray(random.randn(*shape) * gain * np.sqrt(2 / (tensor.numel() / shape[0])))

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
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Root of a dataset of a few tiny files in its published layout, by name; made once.

    The names are those of `salcli.testing.miniatures.MAKERS`. Copy a root before you break
    something below it.
    """
    from salcli.testing.miniatures import MAKERS

    roots: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in roots:
            roots[name] = tmp_path_factory.mktemp("data") / name
            roots[name].mkdir()
            MAKERS[name](roots[name])
        return roots[name]

    return make
