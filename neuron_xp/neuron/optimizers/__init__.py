"""Optimizers: from a gradient to new parameters, as pure functions on arrays."""
