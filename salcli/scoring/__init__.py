"""Scores of predicted maps: from a dataset to a report, and from reports to a comparison."""
