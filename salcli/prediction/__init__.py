"""From a model and a stimulus to finished maps, and from one input to one folder of them."""
