"""A plugin whose hooks are wrong in several ways; what is right in it still works."""

import typer

from salcli import ModelSpec, hookimpl


@hookimpl
def register_models():
    yield ModelSpec("brightness", "a name that is taken", "salcli_noisy:nothing")
    yield ModelSpec("noisy", "works", "salcli_noisy:nothing")


@hookimpl
def register_datasets():
    raise ValueError("no datasets today")


@hookimpl
def register_commands(app: typer.Typer) -> None:
    @app.command()
    def predict() -> None:
        raise AssertionError("the core's own command must win")
