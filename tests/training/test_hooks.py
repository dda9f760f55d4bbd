"""Hooks of plugins count in a training too, and a model's mistake there is the model's."""

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
from torch import Tensor

from salcli import hookimpl
from salcli.errors import PluginError
from salcli.models import loading
from salcli.models.model import Model
from salcli.plugins import loader, registry
from salcli.types import Batch, Frame, Loss, Prediction, Stimulus

from .conftest import Fit


def register(**implementations: Callable[..., Any]) -> None:
    """Register these hook implementations as a plugin of this process."""
    module = ModuleType("dim")
    vars(module).update(implementations)
    loader.load().add(module, name="dim", distribution="salcli-dim", version="1")


def test_a_preprocess_wrapper_changes_what_a_training_sees(fit: Fit) -> None:
    plain = fit("tiny", epochs=1, select="loss")

    @hookimpl(wrapper=True)
    def preprocess(model: Model, frames: Sequence[Frame]) -> Iterator[None]:
        inputs: Tensor = yield
        return inputs / 2  # type: ignore[return-value]  # what pluggy takes as the wrapper's answer

    register(preprocess=preprocess)
    dimmed = fit("tiny", epochs=1, select="loss")
    assert dimmed.losses != plain.losses
    assert dimmed.lines[-1]["validation"] != plain.lines[-1]["validation"]


def test_a_predict_wrapper_changes_the_validation_scores(fit: Fit) -> None:
    plain = fit(epochs=1)

    @hookimpl
    def predict(model: Model, stimulus: Stimulus) -> Iterator[Prediction]:
        for prediction in model.predict(stimulus):
            yield Prediction(prediction.saliency.flip(-1))

    register(predict=predict)
    mirrored = fit(epochs=1)
    assert mirrored.losses == plain.losses
    assert mirrored.lines[-1]["validation"] != plain.lines[-1]["validation"]


def test_an_error_in_validation_names_the_model_and_what_changes_it(fit: Fit) -> None:
    @hookimpl
    def predict(model: Model, stimulus: Stimulus) -> Iterator[Prediction]:
        raise KeyError("no such layer")

    register(predict=predict)
    who = "model 'tiny', as changed by 'salcli-dim',"
    with pytest.raises(PluginError, match=f"{who} failed: KeyError: 'no such layer'"):
        fit("tiny", epochs=1)


def test_losses_that_the_model_does_not_give_are_named(fit: Fit) -> None:
    message = "the recipe weighs the losses kdl, but the model gives kld, nss"
    with pytest.raises(PluginError, match=message):
        fit("tiny", losses={"kdl": 1.0})
    with pytest.raises(PluginError, match=r"weighs the losses \(none\)"):
        fit("tiny", losses={})


def test_an_error_of_a_model_in_its_losses_names_the_model(
    fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loading.model_class(registry.model("tiny")[0])

    def losses(self: Model, batch: Batch) -> Iterator[Loss]:
        raise KeyError("no such loss")
        yield

    monkeypatch.setattr(model, "losses", losses)
    with pytest.raises(PluginError, match="model 'tiny' failed: KeyError: 'no such loss'"):
        fit("tiny", epochs=1)
