from typing import ClassVar

import numpy as np
import torch
from torch import nn

from salcli import Loss, ParameterGroup, Prediction, Recipe
from salcli.authoring import Model, batched, framewise


class Right(Model):
    def build(self):
        return nn.Conv2d(3, 1, 1)

    def preprocess(self, frames):
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float().div(255)

    def maps(self, batch):
        return self.network(self.inputs(batch))[:, 0].sigmoid().float()

    def predict(self, stimulus):
        for batch in batched(stimulus.frames, self.batch_size):
            for saliency in self.maps(batch):
                yield Prediction(saliency)


class TooFew(Right):
    def predict(self, stimulus):
        held = None
        for prediction in super().predict(stimulus):
            if held is not None:
                yield held
            held = prediction


class TooMany(Right):
    def predict(self, stimulus):
        for prediction in super().predict(stimulus):
            yield prediction
        yield prediction


class ReversedStills(Right):
    def predict(self, stimulus):
        predictions = super().predict(stimulus)
        if stimulus.is_clip:
            yield from predictions
        else:
            yield from reversed(list(predictions))


class ReversedClip(Right):
    def predict(self, stimulus):
        predictions = super().predict(stimulus)
        if not stimulus.is_clip:
            yield from predictions
            return
        chunk = []
        for prediction in predictions:
            chunk.append(prediction)
            if len(chunk) == 8:
                yield from reversed(chunk)
                chunk = []
        yield from reversed(chunk)


class Changed(Right):
    def change(self, saliency):
        return saliency

    def predict(self, stimulus):
        for prediction in super().predict(stimulus):
            yield Prediction(self.change(prediction.saliency))


class Float64(Changed):
    def change(self, saliency):
        return saliency.double()


class ThreeDimensional(Changed):
    def change(self, saliency):
        return saliency[None]


class OutOfRange(Changed):
    def change(self, saliency):
        return saliency * 255


class NotANumber(Changed):
    def change(self, saliency):
        return saliency / 0 - saliency / 0


class Negative(Changed):
    def change(self, saliency):
        return -saliency


class Infinite(Changed):
    def change(self, saliency):
        return saliency / 0


class NoTensor(Changed):
    def change(self, saliency):
        return saliency.numpy()


class NoGenerator(Right):
    def predict(self, stimulus):
        pass


class WrongExtra(Right):
    def predict(self, stimulus):
        for prediction in super().predict(stimulus):
            yield Prediction(prediction.saliency, {"early": prediction.saliency.half()})


class NoPrediction(Right):
    def predict(self, stimulus):
        for prediction in super().predict(stimulus):
            yield prediction.saliency


class Leaking(Right):
    last = 0.0

    def predict(self, stimulus):
        for prediction in super().predict(stimulus):
            saliency = prediction.saliency
            if isinstance(self.last, torch.Tensor) and self.last.shape == saliency.shape:
                saliency = (saliency + self.last) / 2
            self.last = saliency
            yield Prediction(saliency)


class Buffering(Right):
    def build(self):
        return nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))

    def predict(self, stimulus):
        self.network.train()
        yield from super().predict(stimulus)


class Remembering(Right):
    def predict(self, stimulus):
        for prediction in super().predict(stimulus):
            self.newest = prediction
            yield prediction


class Carrying(Right):
    """Carries a state from still to still, if its option says so, as if they were a clip."""

    def predict(self, stimulus):
        state = None
        for prediction in super().predict(stimulus):
            saliency = prediction.saliency
            if self.options.path == "recurrent" and state is not None:
                saliency = (saliency + state) / 2
            state = saliency
            yield Prediction(saliency)


class Eager(Right):
    def predict(self, stimulus):
        frames = list(stimulus.frames)
        for frame in frames:
            yield Prediction(self.maps([frame])[0])


class BatchDependent(Right):
    def predict(self, stimulus):
        for batch in batched(stimulus.frames, self.batch_size):
            for saliency in self.maps(batch):
                yield Prediction(saliency / len(batch))


class Random(Right):
    def predict(self, stimulus):
        for prediction in super().predict(stimulus):
            yield Prediction(torch.rand_like(prediction.saliency))


class InTraining(Right):
    """Forgets that its network may have been trained."""

    def build(self):
        return nn.Sequential(nn.Dropout(), nn.Conv2d(3, 1, 1))

    def predict(self, stimulus):
        self.network.train()
        yield from super().predict(stimulus)


class Seeding(Right):
    def predict(self, stimulus):
        torch.manual_seed(0)
        for prediction in super().predict(stimulus):
            yield Prediction((prediction.saliency + torch.rand(())) / 2)


class Drawing(Right):
    def predict(self, stimulus):
        np.random.default_rng(0)
        np.random.rand()
        yield from super().predict(stimulus)


class Touching(Right):
    def preprocess(self, frames):
        for frame in frames:
            frame[0] = 0
        return super().preprocess(frames)


class Stranded(Right):
    """Computes with a tensor that stays where it was made."""

    def build(self):
        return Weighed()


class Weighed(nn.Module):
    def __init__(self):
        super().__init__()
        self.kernel = torch.full((1, 3, 1, 1), 0.1)

    def forward(self, x):
        return nn.functional.conv2d(x, self.kernel)


class StrandedChunks(Stranded):
    """The same, with frames from a background thread."""

    def predict(self, stimulus):
        return framewise(self, stimulus, lambda x: self.network(x)[:, 0].sigmoid())


class Trailing(Right):
    """A map is the mean with that of the frame before."""

    def predict(self, stimulus):
        before = None
        for prediction in super().predict(stimulus):
            saliency = prediction.saliency
            mixed = (saliency + before) / 2 if stimulus.is_clip and before is not None else saliency
            before = saliency
            yield Prediction(mixed)


class NothingBuilt(Right):
    def build(self):
        nn.Conv2d(3, 1, 1)


class UnhappyRecipe(Right):
    def recipes(self):
        return {"main": Recipe(epochs=1, batch_size=1, optimiser="adam", learning_rate=1e-3)}


class UnnamedLoss(Right):
    """Its loss has another name than the one that the recipe weighs."""

    def losses(self, batch):
        yield Loss({"klk": self.network(batch.inputs.flatten(0, 1)).mean()})

    def recipes(self):
        return {"main": Recipe(1, 1, "adam", 1e-3, losses={"kld": 1.0})}


class FailingLoss(UnnamedLoss):
    def losses(self, batch):
        yield {}[0]


class UnknownOptimiser(UnnamedLoss):
    def losses(self, batch):
        yield Loss({"kld": self.network(batch.inputs.flatten(0, 1)).mean()})

    def recipes(self):
        return {"main": Recipe(1, 1, "adman", 1e-3, losses={"kld": 1.0})}


class ManyLosses(UnnamedLoss):
    """A loss for each pixel."""

    def losses(self, batch):
        yield Loss({"kld": self.network(batch.inputs.flatten(0, 1))})


class MisspeltGroups(UnknownOptimiser):
    def recipes(self):
        groups = (ParameterGroup("encodre.", rate=0.1),)
        return {"main": Recipe(1, 1, "adam", 1e-3, losses={"kld": 1.0}, groups=groups)}


class HiddenLayers(Right):
    def build(self):
        return Hiding()


class Hiding(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 1, 1)]

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class PastTheHook(Right):
    def maps(self, batch):
        return self.network(self.preprocess(batch))[:, 0].sigmoid().float()


class Elsewhere(Right):
    def maps(self, batch):
        maps = super().maps(batch)
        return maps * torch.full(maps.shape, 0.5)


class FailingClips(UnnamedLoss):
    """Learns from stills alone, as if a batch had no time."""

    def losses(self, batch):
        (frames,) = batch.inputs.unbind(1)
        yield Loss({"kld": self.network(frames).mean()})

    def recipes(self):
        return {"main": Recipe(1, 2, "adam", 1e-3, clip_length=3)}


class CutOff(UnnamedLoss):
    def losses(self, batch):
        maps = self.network(batch.inputs.flatten(0, 1)).detach()
        yield Loss({"kld": maps.mean() + torch.zeros((), requires_grad=True)})


class EndlessGradient(UnnamedLoss):
    def losses(self, batch):
        maps = self.network(batch.inputs.flatten(0, 1))
        yield Loss({"kld": (maps - maps.detach()).abs().sqrt().mean()})


class OnlyFloat32(Right):
    def maps(self, batch):
        maps = self.network(self.inputs(batch))[:, 0].sigmoid()
        return torch.fft.irfft2(torch.fft.rfft2(maps), s=maps.shape[-2:]).clamp(0, 1).float()


class LargeAndLeaking(Leaking):
    def preprocess(self, frames):
        return large(super().preprocess(frames))


class FarSighted(Right):
    """Obedient, with a large input that can be shrunk."""

    seen: ClassVar = set()

    def preprocess(self, frames):
        return large(super().preprocess(frames))

    def maps(self, batch):
        inputs = self.inputs(batch)
        self.seen.add(tuple(inputs.shape[-2:]))
        return self.network(inputs)[:, 0].sigmoid().float()


class Fixed(FarSighted):
    """Obedient, but its input has one size, and its training one number of pixels."""

    def build(self):
        return nn.Linear(160 * 320, 12)

    def maps(self, batch):
        return self.network(self.inputs(batch).mean(1).flatten(1)).sigmoid().reshape(-1, 3, 4)

    def losses(self, batch):
        assert batch.density.shape[-2:] == (160, 320)
        yield Loss({"kld": self.network(batch.inputs.mean((1, 2)).flatten(1)).mean()})

    def recipes(self):
        return {"main": Recipe(1, 2, "adam", 1e-3)}


class Flat(Right):
    """Obedient, with maps that hardly depend on the frame."""

    def maps(self, batch):
        return super().maps(batch) * 1e-8 + 0.5


class Filed(Right):
    """Its network exists only as a file."""

    build = Model.build

    def open(self, path):
        return torch.jit.load(path)


def large(inputs):
    return nn.functional.interpolate(inputs, size=(160, 320))
