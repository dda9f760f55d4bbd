"""Shares work out among processes and machines."""
