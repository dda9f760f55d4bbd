"""Training: recordings to batches, the loop, and what a run leaves behind."""
