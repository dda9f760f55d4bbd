"""Reads and writes files: atomically, of a known shape, without running code from them."""
