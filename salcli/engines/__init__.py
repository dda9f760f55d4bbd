"""Other engines than PyTorch that run a model's network."""
