"""Panels: frames beside their ground truth and the maps of several models."""
