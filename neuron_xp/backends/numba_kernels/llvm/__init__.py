"""What neither Python nor Numba has words for, as instructions of LLVM: vectors, atomic numbers."""
