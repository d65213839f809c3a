"""Training: from data and settings to a network."""
