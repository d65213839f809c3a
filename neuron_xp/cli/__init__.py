"""The commands: the only room that imports click and rich, and prints."""
