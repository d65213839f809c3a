"""Training sets."""

ARTICLE_INPUTS = ((0, 0, 1), (1, 1, 1), (1, 0, 1), (0, 1, 1))
ARTICLE_TARGETS = ((0,), (1,), (1,), (0,))
"""The article's four examples: the output is the leftmost input."""

ARTICLE_QUESTION = (1, 0, 0)
"""The article's new situation, which the trained neuron answers with 0.99993704."""
