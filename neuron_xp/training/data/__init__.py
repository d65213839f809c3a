"""Training sets: examples in memory, in files or on a cluster, behind one protocol."""
