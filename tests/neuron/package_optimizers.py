"""The package's optimizers under the names of the specification; see package_functions.py."""

import numpy as np
from package_functions import ARITHMETIC, in_memory, parameters

import neuron_xp
from neuron_xp.neuron.layers import flatten
from neuron_xp.neuron.optimizers import adam, lbfgs, line_search
from neuron_xp.neuron.optimizers.adam import Moments
from neuron_xp.neuron.optimizers.gradient import divide_by_count
from neuron_xp.neuron.optimizers.line_search import Trial
from neuron_xp.training.loops import lbfgs as loop

CONSTANTS = {
    "BETA1": adam.BETA1,
    "BETA2": adam.BETA2,
    "EPSILON": adam.EPSILON,
    "MEMORY": lbfgs.MEMORY,
    "PATIENCE": loop.PATIENCE,
    "DECREASE": line_search.DECREASE,
    "STEEPNESS": line_search.CURVATURE,
    "ROUNDING": line_search.ROUNDING,
    "GROWTH": line_search.GROWTH,
    "MOST_TRIALS": line_search.MOST_TRIALS,
}


def scaled_start(sizes, seed):
    inputs, *hidden, targets = sizes
    network = neuron_xp.train(
        np.zeros((1, inputs)), np.zeros((1, targets)),
        hidden=tuple(hidden), seed=seed, iterations=0, optimizer="adam",
    )  # fmt: skip
    return [weights.tolist() for weights in network.weights]


def mean_gradient(weights, biases, inputs, targets, sample_weight=None, **settings):
    data = in_memory(inputs, targets, sample_weight, **settings)
    learned = parameters(weights, biases)
    objective = loop.Objective(data, data.settings, learned)
    return objective.evaluate(flatten(learned, xp=np)).gradient.tolist()


def adam_step(old, means, squares, gradient, rate):
    old, means, squares, gradient = map(np.asarray, (old, means, squares, gradient))
    found, moments = adam.descend(
        old, Moments(means, squares), gradient, rate, arithmetic=ARITHMETIC
    )
    return [x.tolist() for x in (found, *moments)]


def remember_all(pairs, size):
    curvature = lbfgs.know_nothing(size, xp=np)
    for step, change in pairs:
        curvature = lbfgs.remember(
            curvature, np.asarray(step), np.asarray(change), arithmetic=ARITHMETIC
        )
    return curvature


def remember(pairs, step, change):
    curvature = remember_all([*pairs, [step, change]], len(step))
    rows = zip(curvature.steps.tolist(), curvature.changes.tolist(), strict=True)
    return [list(pair) for pair in rows]


def direction(gradient, pairs):
    curvature = remember_all(pairs, len(gradient))
    return lbfgs.find_direction(np.asarray(gradient), curvature, arithmetic=ARITHMETIC).tolist()


def first_step(gradient, pairs):
    curvature = remember_all(pairs, len(gradient))
    return lbfgs.choose_first_step(np.asarray(gradient), curvature, arithmetic=ARITHMETIC)


def search_polynomial(coefficients, first):
    trials = []

    def evaluate(step):
        loss = slope = 0.0
        for coefficient in coefficients:
            slope, loss = slope * step + loss, loss * step + coefficient
        trials.append(step)
        return Trial(step, loss, slope)

    found = line_search.search(evaluate, evaluate(0.0), first)
    return [0.0 if found is None else found.step, len(trials) - 1]


def ending(inputs, targets, iterations, **settings):
    network = neuron_xp.train(inputs, targets, iterations=iterations, **settings)
    return list(network.ending)


OPTIMIZERS = {
    "scaled_start": scaled_start,
    "divide_by_count": divide_by_count,
    "mean_gradient": mean_gradient,
    "power": adam.raise_to,
    "corrected_rate": adam.corrected_rate,
    "adam_step": adam_step,
    "remember": remember,
    "direction": direction,
    "first_step": first_step,
    "interpolate": lambda a, b: line_search._interpolate(Trial(*a), Trial(*b)),
    "search_polynomial": search_polynomial,
    "ending": ending,
}
