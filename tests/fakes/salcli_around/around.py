"""Filters; apart from `dim` each breaks the contract."""

from dataclasses import replace


def dim(stimulus, following, options):
    for prediction in following(stimulus):
        yield replace(prediction, saliency=prediction.saliency * options.factor)


def odd(stimulus, following, options):
    for prediction in following(stimulus):
        yield replace(prediction, saliency=prediction.saliency.double())


def late(stimulus, following, options):
    for index, prediction in enumerate(following(stimulus)):
        if index == 1:
            raise KeyError("second frame")
        yield prediction


def first(stimulus, following, options):
    yield next(following(stimulus))


def bright(stimulus, following, options):
    for prediction in following(stimulus):
        yield replace(prediction, saliency=prediction.saliency + 2)


def outside(frames, options):
    return 0, frames[0].shape[0] + 1, 0, 1
