"""Predictions in the layout that the benchmark of a dataset takes."""
