"""A plugin that brings a style for single maps, and panels."""

from salcli import StyleSpec, hookimpl


@hookimpl
def register_styles():
    yield StyleSpec("negative", "the picture inverted", "salcli_style.drawing:Negative")
    yield StyleSpec("stack", "picture over maps", "salcli_style.drawing:Stack", draws="panels")
