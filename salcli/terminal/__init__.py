"""What a command tells while it runs, and how it is ended."""
