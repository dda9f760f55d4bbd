"""The store of weights files: found, downloaded, verified, kept."""
