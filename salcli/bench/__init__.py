"""How fast different ways of running a model are, and how their maps differ."""
