"""The stages of ci/cuda: what is looked at on a machine with a GPU, in processes of their own."""
