def peak(saliency, fixations, *, factor=1.0):
    return factor * saliency[fixations > 0].max()
