"""The arithmetic of `neuron/`, compiled for CUDA devices: the same bits, sooner."""
