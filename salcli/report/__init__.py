"""One self-contained HTML file about stimuli, models and maps."""
