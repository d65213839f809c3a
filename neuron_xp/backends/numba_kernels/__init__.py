"""The arithmetic of `neuron/`, compiled for processors by Numba: the same bits, sooner."""
