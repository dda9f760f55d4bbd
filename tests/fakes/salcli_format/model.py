"""One number, read from a line of text."""

import numpy as np
import torch
from torch import nn

from salcli import Loss, Prediction, Recipe, WeightsError
from salcli.authoring import Checkpoint, Model


class Gain(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x.mean(1) * self.gain


class Format(Model):
    @classmethod
    def read(cls, path):
        key, equals, value = path.read_text().strip().partition("=")
        if not equals:
            raise WeightsError(f"'{path}' has no line of key=number")
        return Checkpoint({key: torch.tensor([float(value)])}, path)

    def build(self):
        return Gain()

    def preprocess(self, frames):
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float().div(255)

    def predict(self, stimulus):
        for frame in stimulus.frames:
            yield Prediction(self.network(self.inputs([frame]))[0])

    def losses(self, batch):
        yield Loss({"kld": self.network(batch.inputs[:, 0]).mean()})

    def recipes(self):
        return {"plain": Recipe(epochs=1, batch_size=1, optimiser="sgd", learning_rate=1e-6)}


class Keeping(Format):
    """Keeps the weight that it has drawn, since files lack it."""

    def build(self):
        network = Gain()
        network.shift = nn.Parameter(torch.empty(1).uniform_())
        return network

    def load(self, saved):
        self.network.load_state_dict(saved.state, strict=False)
