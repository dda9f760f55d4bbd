"""A self-contained HTML report on stimuli, models and maps."""
