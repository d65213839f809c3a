"""Models: trained networks, the settings that made them, and their files."""
