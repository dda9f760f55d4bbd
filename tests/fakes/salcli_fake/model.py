"""Models that obey the contract, apart from what their names say."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from salcli import Prediction
from salcli.authoring import Model, batched


class Mixer(nn.Module):
    """`[N, 3, h, w]` to `[N, h, w]`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mix", torch.full((1, 3, 1, 1), 1 / 3))  # nothing to be trained

    def forward(self, x):
        return nn.functional.conv2d(x, self.mix)[:, 0].clamp(0, 1)


class Brightness(Model):
    def build(self):
        return Mixer()

    def preprocess(self, frames):
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float().div(255)

    def predict(self, stimulus):
        for batch in batched(stimulus.frames, self.batch_size):
            time.sleep(self.options.delay if self.options else 0)
            inputs = self.inputs(batch)
            for saliency, red in zip(self.network(inputs), inputs[:, 0], strict=True):
                saliency = self.shaped(saliency.float())
                yield Prediction(saliency, {"red": red.float()})

    def shaped(self, saliency):
        if self.options is None:
            return saliency
        if self.options.rows:
            saliency = saliency[: self.options.rows]
        saliency = (saliency * self.options.gain).clamp(0, 1)
        return 1 - saliency if self.options.mode == "inverted" else saliency


class Trail(Brightness):
    """The mean over a frame and up to two frames before and after it."""

    def predict(self, stimulus):
        window = []
        first = given = 0
        for index, frame in enumerate(stimulus.frames):
            window.append(self.network(self.inputs([frame]))[0].float())
            if index - given == 2:
                yield Prediction(torch.stack(window).mean(0))
                given += 1
            if given - first > 2:
                window.pop(0)
                first += 1
        for _ in range(given, first + len(window)):
            yield Prediction(torch.stack(window).mean(0))
            given += 1
            if given - first > 2:
                window.pop(0)
                first += 1


class Hungry(Brightness):
    most = 2

    def preprocess(self, frames):
        if len(frames) > self.most:
            raise torch.OutOfMemoryError(f"no room for {len(frames)} frames\nand a stack trace")
        return super().preprocess(frames)


class Starving(Hungry):
    most = 0


class Mortal(Brightness):
    """Kills its process at black frames, and once at the n-th frame for a file `n` in a folder."""

    seen = 0

    def preprocess(self, frames):
        for frame in frames:
            type(self).seen += 1
            if not frame.any():
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                Path(self.options.kills, str(self.seen)).unlink()
            except OSError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        return super().preprocess(frames)

    def shaped(self, saliency):
        return saliency


class Failing(Brightness):
    def predict(self, stimulus):
        for index, prediction in enumerate(super().predict(stimulus)):
            if index == 2:
                raise KeyError("third frame")
            yield prediction
