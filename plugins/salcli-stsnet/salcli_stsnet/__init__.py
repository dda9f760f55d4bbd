"""Spatio-temporal saliency networks for dynamic saliency prediction, TMM 2017."""

__version__ = "0.1.0"
