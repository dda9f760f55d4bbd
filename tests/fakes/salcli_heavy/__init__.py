"""A plugin that makes every start of salcli wait for numpy."""

import numpy as np

from salcli import ModelSpec, hookimpl


@hookimpl
def register_models():
    yield ModelSpec(
        "heavy", f"needs {np.__name__} at once", "salcli_heavy.model:Heavy", licence="MIT"
    )
