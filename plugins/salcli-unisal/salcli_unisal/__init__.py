"""UNISAL for salcli."""

__version__ = "0.1.0"
