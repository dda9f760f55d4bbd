"""Draws maps: colours, styles, legends, text, grids of pictures."""
