"""A table's files -> numbers. Knows nothing of training or of array libraries other than NumPy."""
