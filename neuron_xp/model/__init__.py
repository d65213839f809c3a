"""What was learned, and how: networks, their settings, their files."""
