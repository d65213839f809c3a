"""Compiled kernels, one file a device: the bits of `neuron/`, sooner."""
