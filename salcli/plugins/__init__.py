"""Hooks, the plugins that implement them, and what these register."""
