from torch import nn

from salcli.authoring import Exportable, Model, framewise, resized


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
        return resized(frames, (12, 16)) / 255

    def exportable(self, size):
        return Exportable(
            self.network,
            inputs={"frames": (3, 12, 16)},
            outputs=["map"],
            finish=lambda maps: maps[:, 0],
            facts={"frames": {"resize": "bilinear"}},
        )

    def predict(self, stimulus):
        run = self.runner((12, 16))
        yield from framewise(self, stimulus, lambda frames: run(frames)[0])
