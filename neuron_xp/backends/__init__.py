"""Array libraries: the only room that imports PyTorch, JAX, CuPy or Numba."""
