"""From data and settings to a network."""
