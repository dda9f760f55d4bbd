"""A plugin that prints into results, interrupts, and answers nonsense."""

from typing import Annotated

import typer

from salcli import ModelSpec, hookimpl

print("thank you for installing me")


@hookimpl
def register_models():
    print("here is my model")
    yield ModelSpec("rude", "works", "salcli_rude:nothing")


@hookimpl
def register_datasets():
    raise KeyboardInterrupt


@hookimpl
def preprocess(model, frames):
    return "nonsense"


@hookimpl
def register_commands(app):
    @app.command()
    def twice(word: Annotated[str, typer.Option(), typer.Option()]) -> None:
        """Has an option that typer refuses."""
