"""The contract of a model, usual ways to predict, and how a name becomes a model that is ready."""
