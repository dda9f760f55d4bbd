from torch import nn

from salcli.authoring import Exportable, Model, Standardisation, framewise, resized

ZERO_TO_ONE = Standardisation((0, 0, 0), (1, 1, 1))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, frames):
        return (self.conv(frames).sigmoid(),)


class Exported(Model):
    runs_in_engines = True

    def build(self):
        return Net()

    def preprocess(self, frames):
        return resized(frames, (12, 16), standardised=ZERO_TO_ONE)

    def exportable(self, size):
        return Exportable(
            self.network,
            inputs={"frames": (3, 12, 16)},
            outputs=["map"],
            finish=lambda maps: maps[:, 0],
            facts={"frames": ZERO_TO_ONE.facts("bilinear, by Pillow in 8 bit")},
        )

    def predict(self, stimulus):
        run = self.runner((12, 16))
        yield from framewise(self, stimulus, lambda frames: run(frames)[0])
