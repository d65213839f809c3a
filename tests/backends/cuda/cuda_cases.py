"""Trainings that the CUDA kernels are tried on, and what the definition makes of them."""

from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations

import array_api_compat.numpy as xp
import numpy as np
from cuda_host import same_bits

from neuron_xp.neuron.arithmetic import reproducible_arithmetic
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.step import (
    Examples,
    Method,
    Scaling,
    block_losses_and_sums,
    block_sums,
    loss,
    step,
    total,
)


@dataclass(frozen=True)
class Case:
    """The network's sizes, the rule, and the magnitudes of the inputs, as exponents of 2."""

    rows: int
    sizes: tuple[int, ...]
    rule: str
    options: tuple[str, ...] = ()
    magnitudes: tuple[int, int] = (-3, 3)
    learning_rate: float = 0.5
    weights: float = 1.0

    def __str__(self):
        options = "+".join(self.options) or "plain"
        return f"{self.rows}-{self.sizes}-{self.rule}-{options}-{self.magnitudes}".replace(" ", "")

    def make(self, array=lambda x: x):
        generator = np.random.RandomState(sum(self.sizes) + self.rows)
        features, neurons = self.sizes[0], self.sizes[-1]
        pairs = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        weights = [array(generator.uniform(-1, 1, pair) * self.weights) for pair in pairs]
        biases = [array(generator.uniform(-1, 1, m)) for _, m in pairs if "bias" in self.options]
        inputs = generator.standard_normal((self.rows, features))
        inputs *= 2.0 ** generator.randint(*self.magnitudes, features)
        targets = generator.randint(0, 2, (self.rows, neurons)).astype(np.float64)
        if "uneven" in self.options:
            inputs *= 2.0**-60
            inputs[:128] = (2 * targets[:128] - 1) * 2.0**60
            inputs[64:128, 1] *= -1
        sample_weight, scaling = generator.random_sample((self.rows, 1)), None
        if "scaling" in self.options:
            scaling = Scaling(array(inputs.mean(axis=0)), array(1 / inputs.std(axis=0)))
        if "broken" in self.options:
            inputs[self.rows // 2, 0] = np.inf
        sample_weight = array(sample_weight) if "sample_weight" in self.options else None
        examples = Examples(array(inputs), array(targets), sample_weight, scaling)
        l2 = 0.01 if "l2" in self.options else None
        return Parameters(tuple(weights), tuple(biases)), (examples, self.learning_rate, l2)


NAMES, ALL = list(RULES), ("bias", "l2", "sample_weight", "scaling")
SIZES = [(4, (3, 1)), (1003, (20, 1)), (70, (1000, 1)), (5, (2500, 1)), (200, (7, 3))]
DEEP = [(100, (6, 5, 4, 3, 2)), (3, (5, 70, 67)), (2, (2, 1100, 2))]
CASES = [
    Case(rows, sizes, rule, options)
    for rows, sizes in (*SIZES, *DEEP)
    for rule in RULES
    for options in ((), ("no_tiny_inputs",), ALL)
]
CASES += [
    Case(130, (9, 2), NAMES[0], ("bias", "l2"), (-500, 500)),
    Case(130, (9, 2), "cross_entropy", ("scaling", "bias"), (-80, 20)),
    # two leaves that cancel at first and then add nothing, and one that is far below
    Case(192, (3, 1), NAMES[0], ("uneven",), weights=0.0),
    # products around 2^-960, and deltas around 2^-900, made visible by the learning rate
    Case(130, (3, 1), NAMES[0], (), (-961, -955), learning_rate=2.0**930, weights=0.0),
    Case(130, (3, 2), "cross_entropy", ("bias",), (-961, -955), learning_rate=2.0**930),
    Case(500, (3, 1), NAMES[0], (), (8, 10), learning_rate=2.0**900),
    Case(130, (3, 4, 1), NAMES[0], ("l2",), (8, 10), learning_rate=2.0**900),
    Case(130, (3, 1), NAMES[0], ("sample_weight",), (950, 1010)),
    Case(130, (3, 2), "cross_entropy", ("bias", "broken")),
    # many classes: some that a thread compares alone, some for a warp; z far apart, or infinite
    Case(130, (3, 40), "softmax_cross_entropy", ("bias",), (-80, 20)),
    Case(66, (3, 5, 64), "softmax_cross_entropy", ("bias",), (5, 8)),
    Case(66, (3, 65), "softmax_cross_entropy", ("bias",), (5, 8)),
    Case(3, (2, 1000), "softmax_cross_entropy", ("bias", "sample_weight")),
    Case(2, (3, 1100), "softmax_cross_entropy"),
    Case(130, (3, 33), "softmax_cross_entropy", ("bias", "broken")),
    Case(130, (3, 3), "softmax_cross_entropy", ("sample_weight",), (950, 1010)),
]
# one neuron, by one_neuron.cu: lanes that have no feature or several, rounds of one kind or another
CASES += [
    Case(rows, (features, 1), rule, options)
    for rows, features in ((700, 1), (600, 31), (700, 32), (64, 33), (300, 100), (200, 128),
                           (200, 129), (130, 500), (70, 513), (150, 1024))
    for rule, options in ((NAMES[0], ("bias",)), ("cross_entropy", ALL))
]  # fmt: skip
CASES += [
    Case(200, (features, 1), NAMES[0], options, magnitudes)
    for features in (20, 40)
    for options, magnitudes in (
        ((), (-961, -955)), (("bias",), (-500, 500)), (("broken",), (-3, 3)),
        (("scaling", "broken"), (-3, 3)), (("sample_weight",), (950, 1010)),
    )
]  # fmt: skip
EACH = ("bias", "sample_weight", "scaling")
CASES += [
    Case(70, sizes, rule, options)
    for sizes in ((3, 35), (3, 4, 35))
    for rule in RULES
    for options in chain.from_iterable(combinations(EACH, count) for count in range(4))
]
ITERATIONS = 3


@cache
def definition(case):
    """By array operations: sums at the start, the parameters some iterations later, their loss."""
    parameters, data = case.make()
    arithmetic = reproducible_arithmetic(xp, no_tiny_inputs="no_tiny_inputs" in case.options)
    method = Method(arithmetic, RULES[case.rule], block_rows=128)
    with np.errstate(all="ignore"):
        found = [
            *total(block_sums, parameters, data[0], method=method),
            *total(block_losses_and_sums, parameters, data[0], method=method),
        ]
        for _ in range(ITERATIONS):
            parameters = step(parameters, *data, method=method)
        loss_after = loss(parameters, data[0], method=method)
        return [*found, *parameters.weights, *parameters.biases, loss_after]


def by_kernels(case, kernels, array=lambda x: x, host=lambda x: x):
    parameters, data = case.make(array)
    given = (*parameters.weights, *parameters.biases)
    before = [host(x).copy() for x in given]
    of_rule = kernels.for_rule(case.rule, "no_tiny_inputs" in case.options)
    sums = *of_rule.sums(parameters, data[0]), *of_rule.losses_and_sums(parameters, data[0])
    learned = of_rule.run(1, of_rule.run(ITERATIONS - 1, parameters, *data), *data)
    assert all(map(same_bits, before, map(host, given)))  # not written to
    found = (*sums, *learned.weights, *learned.biases, of_rule.loss(learned, data[0]))
    return list(map(host, found))
