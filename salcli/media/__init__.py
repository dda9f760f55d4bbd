"""Reads and writes images and video."""
