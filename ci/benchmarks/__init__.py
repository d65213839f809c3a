"""How long an iteration takes: neuron_xp beside the same program in plain libraries."""
