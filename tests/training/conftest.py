"""A model of a few numbers that remembers what it saw, and clips of one moving spot."""

from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from salcli import images
from salcli.types import Annotation, Recording

PLUGIN = """
from salcli import ModelSpec, hookimpl

@hookimpl
def register_models():
    yield ModelSpec("little", "for tests", "salcli_little.model:Little")
"""

MODEL = """
import os

import numpy as np
import torch
from PIL import Image
from torch import nn

from salcli import losses
from salcli.model import Model
from salcli.recipe import Augmentation, ParameterGroup, Recipe
from salcli import images
from salcli.types import Loss, Prediction


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, clips):
        state, maps = 0, []
        for frames in clips.unbind(1):
            state = 0.5 * state + self.encoder(frames).tanh()
            logits = self.head(state)
            maps.append(logits.flatten(1).log_softmax(1).view_as(logits))
        return torch.stack(maps, 1)


class Little(Model):
    def build(self):
        return Net()

    def preprocess(self, frames):
        pixels = [np.asarray(Image.fromarray(frame).resize((16, 12))) for frame in frames]
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255 - 0.5

    def predict(self, stimulus):
        for frame in stimulus.frames:
            saliency = self.network(self.inputs([frame])[None])[0, 0, 0].float().exp()
            yield Prediction(saliency / saliency.max())

    def losses(self, batch):
        if os.environ.get("DIE") == os.environ.get("RANK", "no rank"):
            os._exit(9)
        log_density = self.network(batch.inputs)[:, -batch.density.shape[1] :]
        density = batch.density / batch.density.sum((-2, -1), keepdim=True)
        factor = float(os.environ.get("FACTOR", "1"))
        yield Loss({"kld": losses.kld(log_density, density).mean() * factor})

    def recipes(self):
        plain = Recipe(2, 2, "sgd", 0.5, clip_length=3, clip_stride=2, seed=5)
        return {"plain": plain}
"""


@pytest.fixture(scope="session")
def little_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site folder with a plugin that brings the model `little`."""
    site = tmp_path_factory.mktemp("little")
    (site / "salcli_little").mkdir()
    (site / "salcli_little" / "__init__.py").write_text(PLUGIN)
    (site / "salcli_little" / "model.py").write_text(MODEL)
    described = site / "salcli_little-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: salcli-little\nVersion: 1.0\n"
    )
    (described / "entry_points.txt").write_text("[salcli]\nlittle = salcli_little\n")
    return site


@pytest.fixture
def little(install_plugins: Callable[..., None], little_site: Path) -> None:
    """The plugin, in this process."""
    install_plugins(little_site)


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
