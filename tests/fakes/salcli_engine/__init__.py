"""A model that other engines can run, and engines that are not as they should be."""

from salcli import EngineSpec, ModelSpec, hookimpl


@hookimpl
def register_models():
    yield ModelSpec("exported", "one convolution", "salcli_engine.model:Exported", licence="MIT")


@hookimpl
def register_engines():
    needs, install = ("onnxruntime", "onnxscript"), "pip install it"
    yield EngineSpec("wrong", "wrong by 1e-3", "salcli_engine.wrong:load", needs, install)
    absent = ("salcli-engine-nobody-has",)
    yield EngineSpec("absent", "not installed", "salcli_engine.wrong:load", absent, install)
    yield EngineSpec("failing", "fails", "salcli_engine.wrong:fail", needs, install)
