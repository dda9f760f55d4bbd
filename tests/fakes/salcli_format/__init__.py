"""A plugin whose weights are files of a format of its own: lines of `key=number`."""

from salcli import ModelSpec, Weights, hookimpl

ROW = Weights("lines", urls=("file:///nowhere/gain.txt",), filename="gain.txt", note="no hash")


@hookimpl
def register_models():
    yield ModelSpec("format", "a gain", "salcli_format.model:Format", weights=(ROW,))
    yield ModelSpec("keeping", "a gain", "salcli_format.model:Keeping", weights=(ROW,))
