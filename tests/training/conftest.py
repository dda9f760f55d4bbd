"""Models of a few numbers, clips of one moving spot, and `salcli` in processes of its own."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

from salcli.datasets.folder import FolderOptions, open_folder
from salcli.files import checkpoint
from salcli.media import images
from salcli.models.loading import create
from salcli.recipe import Source
from salcli.testing.miniatures import Lists
from salcli.training.plan import Corpus
from salcli.training.train import Running, train
from salcli.types import Annotation, Dataset, Recording

from ..conftest import install

PRELOADED = [
    *(
        "salcli.cli",
        "salcli.commands.train",
        "salcli.training.train",
        "salcli.training.session",
        "salcli.datasets.folder",
    ),
    *("torch._dynamo", "torch.distributed", "torch.utils.tensorboard", "matplotlib.figure"),
]

SECONDS = 200
"""How long a process may take on a busy machine, before a test gives up."""


@pytest.fixture(scope="session")
def little_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site folder with a plugin that brings the models `little` and `tiny`."""
    site = tmp_path_factory.mktemp("little")
    install(site, "salcli_little")
    return site


@pytest.fixture
def little(install_plugins: Callable[..., None], little_site: Path) -> None:
    """The plugin, in this process."""
    install_plugins(little_site)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Arithmetic in one thread, as in the processes that the tests start: equal to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Started:
    """A `salcli` that runs as a process of its own."""

    process: ForkServerProcess
    output: Path

    def ended(self) -> tuple[int, str]:
        """Exit code, and what it said."""
        self.process.join(SECONDS)
        assert self.process.exitcode is not None, "it never ended"
        return self.process.exitcode, self.output.read_text()

    def signalled(self, how: int, *, when: Callable[[], bool]) -> tuple[int, str]:
        """The same, after a signal as soon as something is so."""
        deadline = time.monotonic() + SECONDS
        while not when() and self.process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(self.process.pid or 0, how)
        return self.ended()


Start = Callable[..., Started]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start(little: None, tmp_path: Path) -> Iterator[Start]:
    """Start `salcli` with words, and variables of its environment.

    Most of the time of such a process would be that of importing torch, so it is forked from one
    that has.
    """
    from salcli_little.process import run

    context, started = get_context("forkserver"), list[Started]()
    context.set_forkserver_preload(PRELOADED)

    def begin(*words: str | Path, **variables: str) -> Started:
        output = tmp_path / f"said-{len(started)}"
        given = (list(map(str, words)), variables, str(output))
        started.append(Started(context.Process(target=run, args=given), output))
        started[-1].process.start()
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.join()


@pytest.fixture
def goes_on(salcli: Run, start: Start, one_thread: None, tmp_path: Path) -> Callable[..., None]:
    """Try that a training of two epochs learns, and that one which is stopped goes on as it.

    Takes words for `salcli train`, and variables of its environment. What a SIGTERM ends after the
    first step must end with the same losses and weights, to the last bit, as what nobody disturbs.
    """
    fixed = ("--epochs", "2", "--workers", "0", "--device", "cpu", "--json", "-o")

    def check(*words: str, **variables: str) -> None:
        cut, whole = tmp_path / "cut", tmp_path / "whole"
        stopped = start("train", *words, *fixed, cut, **variables)
        code, said = stopped.signalled(signal.SIGTERM, when=(cut / "last.pt").exists)
        assert code == 128 + signal.SIGTERM, said
        assert progress(cut) == (0, 1)
        found = []
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            for output in (cut, whole):
                done = salcli("train", *words, *fixed, output)
                assert done.returncode == 0, done.stderr
                lines = map(json.loads, done.stdout.splitlines())
                losses = [line["losses"]["loss"] for line in lines if "losses" in line]
                state = checkpoint.read_training(output / "last.pt")["network"]
                (output / "last.pt").unlink()  # pytest keeps folders of earlier runs
                (output / "best.safetensors").unlink()
                found.append((losses, state))
        (resumed, one), (losses, other) = found
        assert resumed == losses
        assert losses[-1] < losses[0]
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in other)

    return check


def ranks(
    start: Start, *words: str | Path, outputs: Sequence[Path] = (), **more: str
) -> list[tuple[int, str]]:
    """Two processes that train together, as Slurm's `srun` starts them: what became of each.

    `outputs` are their folders, if each sees another one.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), **more}
    numbers = [{"RANK": str(number), "LOCAL_RANK": str(number)} for number in range(2)]
    folders = [("-o", output) for output in outputs] or [(), ()]
    started = [
        start(*words, *folder, **common, **number)
        for folder, number in zip(folders, numbers, strict=True)
    ]
    return [each.ended() for each in started]


def log_of(folder: Path, *, without: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The lines of a run's log, without what differs each time."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in without} for line in lines]


def progress(output: Path) -> tuple[int, int]:
    """Epoch and step of the state in a folder."""
    found = checkpoint.read_training(output / "last.pt")["progress"]
    return found["epoch"], found["step"]


@dataclass
class Fitted:
    """A training in this process that has ended: its folder, the network, and what it reported."""

    output: Path
    network: dict[str, torch.Tensor]
    lines: list[Mapping[str, Any]]

    @property
    def losses(self) -> list[float]:
        return [line["losses"]["loss"] for line in self.lines if "losses" in line]

    @property
    def validations(self) -> list[Mapping[str, Any]]:
        return [line for line in self.lines if "validation" in line]

    @property
    def best(self) -> checkpoint.Checkpoint:
        return checkpoint.read(self.output / "best.safetensors")


Fit = Callable[..., Fitted]


@pytest.fixture
def fit(little: None, clips: list[Recording], stills: Path, tmp_path: Path) -> Fit:
    """Train `little` on the clips, or `tiny` on the stills or other data."""
    counter = iter(range(100))

    def run(
        name: str = "little",
        *,
        data: Dataset | None = None,
        output: Path | None = None,
        options: Sequence[str] = (),
        running: Running | None = None,
        **changes: Any,
    ) -> Fitted:
        model = create(name, options=options, defaults={})
        few_frames = {"validation_frames": 2, **changes}
        recipe = replace(next(iter(model.recipes().values())), **few_frames)
        torch.manual_seed(recipe.seed)
        model.network = model.build()
        if data is None:
            few = Lists(clips[:4], clips[4:])
            data = few if name == "little" else open_folder([stills], FolderOptions("4"))
        fitted = Fitted(output or tmp_path / f"fit-{next(counter)}", {}, [])
        best = train(
            model,
            [Corpus.of(data, Source("folder"), recipe)],
            recipe=recipe,
            output=fitted.output,
            metadata={"model": name, "recipe": asdict(recipe)},
            running=running or Running(),
            report=fitted.lines.append,
        )
        assert best == fitted.output / "best.safetensors"
        fitted.network |= {name: t.clone() for name, t in model.network.state_dict().items()}
        return fitted

    return run


def make_stills(root: Path, count: int, *, maps: bool = True, fixations: bool = True) -> Path:
    """Images of one bright spot each, at which people look."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48]
    for folder in ("images", *["maps"] * maps, *["fixations"] * fixations):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        row, column = random.integers(10, 38, 2)
        spot = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50)
        image = np.clip(30 + 200 * spot[..., None] + random.normal(0, 5, (48, 48, 3)), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{number}.png")
        if maps:
            Image.fromarray((255 * spot).astype(np.uint8)).save(root / "maps" / f"{number}.png")
        if fixations:
            fixated = (255 * (spot > 0.97)).astype(np.uint8)
            Image.fromarray(fixated).save(root / "fixations" / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve images as `--data folder` takes it."""
    return make_stills(tmp_path_factory.mktemp("data") / "spots", 12)


def spot(
    size: tuple[int, int], at: tuple[int, int]
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    y, x = np.mgrid[: size[0], : size[1]]
    return np.asarray(np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 20))


def make_clip(root: Path, name: str, count: int, *, start: int = 4) -> Recording:
    """A folder of frames on which a spot moves to the right, one pixel per frame."""
    frames, annotations = [], []
    for folder in ("images", "maps", "fixations"):
        (root / folder / name).mkdir(parents=True)
    for index in range(count):
        found = spot((24, 32), (12, start + index))
        paths = [root / f / name / f"{index + 1:04d}.png" for f in ("images", "maps", "fixations")]
        grey = (255 * found).astype(np.uint8)
        coloured = np.stack([grey, np.full_like(grey, 10 * index), grey // 2], axis=2)
        for path, picture in zip(paths, (coloured, grey, 255 * (found > 0.99)), strict=True):
            Image.fromarray(picture.astype(np.uint8)).save(path)
        frames.append(paths[0])
        annotations.append(Annotation(paths[0].stem, paths[1], paths[2]))
    return Recording(name, root / "images" / name, annotations, fps=10.0, frames=frames)


def as_video(recording: Recording, path: Path) -> Recording:
    """The same clip as a video without loss."""
    frames = [images.read(path) for path in recording.frames or ()]
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = imageio_ffmpeg.write_frames(
        path, size, fps=10, codec="ffv1", pix_fmt_out="bgr0", macro_block_size=1
    )
    writer.send(None)
    for frame in frames:
        writer.send(frame.tobytes())
    writer.close()
    return Recording(recording.name, path, recording.annotations, fps=10.0)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Five clips of 9 to 13 frames."""
    root = tmp_path_factory.mktemp("clips")
    return [make_clip(root, f"clip{n}", 9 + n, start=3 + 2 * n) for n in range(5)]
