"""Crop windows that keep what people look at: of clips, shot by shot, and of stills."""
