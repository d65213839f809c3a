"""What neuron_xp gives to JAX, compiled for an H100 that need not be there, and looked through."""
