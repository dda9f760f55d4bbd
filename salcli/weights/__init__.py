"""The store of weights files: finds, downloads, verifies and caches them."""
