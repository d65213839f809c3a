"""Training sets of the article and of the sequel that it announces."""

ARTICLE_INPUTS = ((0, 0, 1), (1, 1, 1), (1, 0, 1), (0, 1, 1))
ARTICLE_TARGETS = ((0,), (1,), (1,), (0,))
"""The article's four examples: the output is the leftmost input."""

ARTICLE_QUESTION = (1, 0, 0)
"""The article's new situation, which the trained neuron answers with 0.99993704."""

SEQUEL_INPUTS = ((0, 0, 1), (0, 1, 1), (1, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1), (0, 0, 0))
SEQUEL_TARGETS = ((0,), (1,), (1,), (1,), (1,), (0,), (0,))
"""The announced sequel's examples: the exclusive or of the first two inputs."""

SEQUEL_QUESTION = (1, 1, 0)
"""The sequel's new situation, which 4 hidden neurons answer with 0.0078876."""
