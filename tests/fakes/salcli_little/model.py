"""Models of a few numbers; the environment says what goes wrong with them.

DIE=1: the process of this rank dies at once. FACTOR=nan: on the losses. END="SIGTERM predict 5":
the process gets this signal, END_TIMES times, when it does so for the fifth time; of several
processes that of rank END_RANK.
"""

import os
import signal
from collections import Counter

import numpy as np
import torch
from PIL import Image
from torch import nn

from salcli import Augmentation, Loss, ParameterGroup, Prediction, Recipe
from salcli.authoring import Model, losses

done = Counter()


def about_to(work):
    done[work] += 1
    how, *when = os.environ.get("END", "never").split()
    rank = os.environ.get("RANK")
    if when == [work, str(done[work])] and rank == os.environ.get("END_RANK", rank):
        for _ in range(int(os.environ.get("END_TIMES", "1"))):
            os.kill(os.getpid(), signal.Signals[how])


def pixels(frames, size):
    small = np.stack([np.asarray(Image.fromarray(frame).resize(size)) for frame in frames])
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255 - 0.5


def log_densities(logits):
    return logits.flatten(1).log_softmax(1).view_as(logits)


class LittleNet(nn.Module):
    """Clips `[B, T, 3, h, w]` and a state to `[B, T, 1, h, w]` and the next state."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, clips, state=0.0):
        maps = []
        for frames in clips.unbind(1):
            state = 0.5 * state + self.encoder(frames).tanh()
            maps.append(log_densities(self.head(state)))
        return torch.stack(maps, 1), state


class Little(Model):
    def build(self):
        return LittleNet()

    def preprocess(self, frames):
        return pixels(frames, (16, 12))

    def predict(self, stimulus):
        for frame in stimulus.frames:
            maps, _ = self.network(self.inputs([frame])[None])
            saliency = maps[0, 0, 0].float().exp()
            yield Prediction(saliency / saliency.max())

    def losses(self, batch):
        if os.environ.get("DIE") == os.environ.get("RANK", "no rank"):
            os._exit(9)
        length, state = batch.inputs.shape[1], torch.zeros(())
        each = self.options.frames_per_pass or length
        for start in range(0, length, each):
            maps, state = self.network(batch.inputs[:, start : start + each], state.detach())
            density = batch.density[:, start : start + each]
            density = density / density.sum((-2, -1), keepdim=True)
            kld = losses.kld(maps[:, -density.shape[1] :], density).mean()
            yield Loss({"kld": kld * float(os.environ.get("FACTOR", "1"))})

    def recipes(self):
        return {"plain": Recipe(2, 2, "sgd", 0.5, clip_length=3, clip_stride=2, seed=5)}


class TinyNet(nn.Module):
    """Stills `[N, 3, h, w]` to `[N, h, w]`."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        return log_densities(self.head(self.dropout(self.norm(self.backbone(x)).relu())))[:, 0]


class Tiny(Model):
    def build(self):
        about_to("build")
        return TinyNet()

    def preprocess(self, frames):
        return pixels(frames, (24, 24))

    def predict(self, stimulus):
        about_to("predict")
        torch.rand(())  # as dropout draws where it is on in predictions too
        for frame in stimulus.frames:
            saliency = self.network(self.inputs([frame]))[0].exp()
            yield Prediction(saliency / saliency.max())

    def losses(self, batch):
        about_to("learn")
        log_density = self.network(batch.inputs[:, 0])
        density, fixations = batch.density[:, 0, 0], batch.fixations[:, 0, 0]
        kld, nss = losses.kld(log_density, density), losses.nss(log_density, fixations)
        yield Loss({"kld": kld.mean(), "nss": nss.mean()})

    def recipes(self):
        short = Recipe(
            epochs=4,
            batch_size=2,
            optimiser="adam",
            learning_rate=0.03,
            groups=(ParameterGroup("backbone.", rate=0.5, frozen_epochs=1),),
            schedule="cosine",
            gradient_clip=5.0,
            losses={"kld": 1.0, "nss": -0.1},
            ema=0.8,
            augmentation=Augmentation(flip=0.5, scale=0.9, aspects=((1.0, 1),), brightness=0.2),
            seed=7,
        )
        return {"short": short, "never": Recipe(1, 2, "sgd", 0.1, select="CCC")}
