import numpy as np

from salcli.authoring import MapStyle


class Negative(MapStyle):
    meaning = "where the picture is inverted, people look"

    def draw(self, frame, saliency):
        return np.where(saliency[..., None] > 0.5, 255 - frame, frame)

    def swatch(self, size):
        return np.zeros((size, size, 3), np.uint8)


class Stack:
    def __init__(self, look):
        self.look = look

    def draw(self, compared):
        level = round(255 * self.look.alpha)
        maps = [np.full_like(compared.picture, level) for _ in compared.maps]
        return np.concatenate([compared.picture, *maps])
