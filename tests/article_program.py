"""The article's program, its class form, ported to Python 3: an oracle.

Milo Spencer-Harper, "How to build a simple neural network in 9 lines of Python code" (2015).
Python's `xrange` and `print` statement are gone, and the arrays are float64; nothing else
is changed.
"""

from numpy import array, dot, exp, random


class ArticleNeuralNetwork:
    def __init__(self):
        random.seed(1)
        self.synaptic_weights = 2 * random.random((3, 1)) - 1

    def __sigmoid(self, x):
        return 1 / (1 + exp(-x))

    def __sigmoid_derivative(self, x):
        return x * (1 - x)

    def train(self, training_set_inputs, training_set_outputs, number_of_training_iterations):
        for _ in range(number_of_training_iterations):
            output = self.think(training_set_inputs)
            error = training_set_outputs - output
            adjustment = dot(training_set_inputs.T, error * self.__sigmoid_derivative(output))
            self.synaptic_weights += adjustment

    def think(self, inputs):
        return self.__sigmoid(dot(inputs, self.synaptic_weights))


def trained():
    network = ArticleNeuralNetwork()
    inputs = array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype="float64")
    network.train(inputs, array([[0, 1, 1, 0]], dtype="float64").T, 10000)
    return network
