"""Pictures to look at: panels of stimuli, ground truth and models' maps."""
