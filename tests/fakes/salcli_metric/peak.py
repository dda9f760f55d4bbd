import numpy as np


def peak(saliency, fixations, *, factor=1.0):
    return factor * np.max(saliency[fixations > 0])
