"""Kernels for the host's own work: a look at the data, and products of small matrices."""
