"""The kinds of areas that are found without drawing; apart, since it imports nothing heavy."""

__all__ = ["KINDS"]

KINDS = ("grid", "regions", "texts")
"""A grid of three by three, what attracts most attention, blocks of text."""
