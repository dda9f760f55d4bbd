"""Pictures to look at: frames beside ground truth and the maps of several models."""
