"""A plugin that changes every prediction: half as salient, of inverted frames."""

from salcli import hookimpl


@hookimpl(wrapper=True)
def preprocess(model, frames):
    inputs = yield
    return 1 - inputs


@hookimpl(wrapper=True)
def predict(model, stimulus):
    predictions = yield
    return halved(predictions)


def halved(predictions):
    from dataclasses import replace

    for index, prediction in enumerate(predictions):
        if index == 3:
            raise KeyError("fourth frame")
        yield replace(prediction, saliency=prediction.saliency / 2)
