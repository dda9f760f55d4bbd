"""Areas of interest, and how much attention they get."""
