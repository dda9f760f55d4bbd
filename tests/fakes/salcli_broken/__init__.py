"""A plugin that cannot be imported."""

raise RuntimeError("this plugin\nneeds a newer everything")
