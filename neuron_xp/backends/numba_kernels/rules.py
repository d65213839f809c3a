"""The last layer of a network on one leaf: its outputs, losses and deltas, by each rule."""

from neuron_xp.backends.numba_kernels.arithmetic import copy, sum_leaf, sum_terms
from neuron_xp.backends.numba_kernels.compiler import compiled, spliced
from neuron_xp.backends.numba_kernels.functions import exp, flush, log, log1p, sigmoid
from neuron_xp.backends.numba_kernels.llvm.vectors import WIDTH
from neuron_xp.neuron.reproducible.elementary import SMALLEST_FACTOR, SMALLEST_PRODUCT
from neuron_xp.neuron.reproducible.exact_sum import LEAF

ARTICLE_RULE, CROSS_ENTROPY, SOFTMAX, WEIGHTED_SUMS = 0, 1, 2, 3

# where nothing is learned, the last layer's weighted sums may be what is wanted
RULE_CODES = {
    "error_weighted_derivative": ARTICLE_RULE,
    "cross_entropy": CROSS_ENTROPY,
    "softmax_cross_entropy": SOFTMAX,
}


@compiled
def find_sigmoids(z, count, outputs, exponentials):
    """Find the sigmoid of z, and e^-|z|, of which a loss is made, for the first `count`.

    The others' z may be anything, NaN too: their outputs are 0, as the next layer's sums over
    examples multiply them by 0.
    """
    for r in range(LEAF if count > WIDTH else WIDTH):
        exponentials[r] = exp(-abs(z[r]))
        outputs[r] = sigmoid(z[r], exponentials[r])
    for r in range(count, LEAF):
        outputs[r] = 0.0


@compiled
def find_softmax(z, outputs, exponentials, segments, largest, totals):
    """See `activations.softmax`; put z - max(z) in the place of z."""
    copy(z[0], largest)
    for j in range(1, z.shape[0]):
        for r in range(LEAF):
            is_largest = largest[r] >= z[j, r] or largest[r] != largest[r]  # NaN is larger than any
            largest[r] = largest[r] if is_largest else z[j, r]
    for j in range(z.shape[0]):
        for r in range(LEAF):
            z[j, r] = z[j, r] - largest[r]
            exponentials[j, r] = exp(z[j, r])
    sum_terms(exponentials, z.shape[0], segments, totals)
    for r in range(LEAF):
        largest[r] = 1.0 / totals[r]
    for j in range(z.shape[0]):
        for r in range(LEAF):
            quotient = flush(exponentials[j, r] * largest[r], SMALLEST_PRODUCT)
            outputs[j, r] = quotient if z[j, r] == z[j, r] else z[j, r]


@spliced
def find_losses(plan, data, start, count, leaf):
    """Find the sum of the losses of each neuron of the last layer."""
    first, losses = plan.neurons - plan.sizes[-1], leaf.losses
    if plan.rule == SOFTMAX:
        _find_logarithms(leaf.totals)
    for j in range(plan.sizes[-1]):
        z, targets = leaf.z[first + j], leaf.targets[j]
        if plan.rule == ARTICLE_RULE:
            _find_squared_errors(leaf.outputs[first + j], targets, losses)
        elif plan.rule == CROSS_ENTROPY:
            _find_logarithmic_losses(z, leaf.deltas[first + j], targets, losses)
        else:
            _find_softmax_losses(z, leaf.totals, targets, losses)
        _weigh(losses, data.sample_weight, start, count)
        leaf.sums[j] = sum_leaf(losses, leaf.row)


@compiled
def _find_squared_errors(outputs, targets, losses):
    for r in range(LEAF):
        error = targets[r] - outputs[r]
        losses[r] = flush(0.5 * (error * error), SMALLEST_FACTOR)


@compiled
def _find_logarithmic_losses(z, exponentials, targets, losses):
    for r in range(LEAF):
        above = z[r] if z[r] > 0.0 else 0.0
        loss = (above - targets[r] * z[r]) + log1p(exponentials[r])
        losses[r] = flush(loss, SMALLEST_FACTOR)


@compiled
def _find_logarithms(x):
    for r in range(LEAF):
        x[r] = log(x[r])


@compiled
def _find_softmax_losses(below, logarithms, targets, losses):
    for r in range(LEAF):
        losses[r] = flush(targets[r] * (logarithms[r] - below[r]), SMALLEST_FACTOR)


@spliced
def find_deltas(plan, data, start, count, leaf):
    """Find the deltas of the last layer's neurons: what each weighted sum is to be moved by."""
    first = plan.neurons - plan.sizes[-1]
    for j in range(plan.sizes[-1]):
        outputs, targets, deltas = leaf.outputs[first + j], leaf.targets[j], leaf.deltas[first + j]
        if plan.rule == ARTICLE_RULE:
            _find_errors_by_slope(outputs, targets, deltas)
        else:
            _find_errors(outputs, targets, deltas)
        _weigh(deltas, data.sample_weight, start, count)


@compiled
def _find_errors_by_slope(outputs, targets, deltas):
    for r in range(LEAF):
        error = (targets[r] - outputs[r]) * (outputs[r] * (1.0 - outputs[r]))
        deltas[r] = flush(error, SMALLEST_FACTOR)


@compiled
def _find_errors(outputs, targets, deltas):
    for r in range(LEAF):
        deltas[r] = flush(targets[r] - outputs[r], SMALLEST_FACTOR)


@compiled
def _weigh(x, sample_weight, start, count):
    """Multiply by the sample weights, in place; set 0 where there is no example."""
    if sample_weight.shape[0] > 0:
        for r in range(count):
            x[r] = flush(x[r] * sample_weight[start + r, 0], SMALLEST_FACTOR)
    for r in range(count, LEAF):
        x[r] = 0.0
