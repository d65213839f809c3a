"""Loops around the optimizers: when the host looks in, what it records, when it stops."""
