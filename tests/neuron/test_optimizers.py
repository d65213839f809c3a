"""The gradient of the mean loss, Adam and the direction of L-BFGS against independent ones."""

import numpy as np
import package_functions
import package_optimizers
import pytest
import scalar_optimizers

import neuron_xp
from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.optimizers import adam
from neuron_xp.neuron.reproducible.exact_sum import add_exactly

VARIANTS = [
    (rule, hidden, l2) for rule in RULES for hidden in ((), (4,), (4, 3, 2)) for l2 in (0.0, 0.3)
]


def problem(rule):
    """Inputs, targets and sample weights; the targets of a softmax sum to 1."""
    generator = np.random.RandomState(2)
    inputs, targets = generator.random_sample((70, 3)) * 2 - 1, generator.random_sample((70, 2))
    if rule == "softmax_cross_entropy":
        targets[:, 1] = 1 - targets[:, 0]
    return inputs, targets, generator.randint(0, 4, 70) * 0.7


def mean_loss_of_torch(parameters, inputs, targets, weight, rule, l2):
    """By PyTorch's own functions, for weights and then biases as tensors."""
    from torch.nn import functional

    layers, x = len(parameters) // 2, inputs
    for weights, bias in zip(parameters[:layers], parameters[layers:], strict=True):
        z = x @ weights + bias
        x = z.sigmoid()
    if rule == "cross_entropy":
        losses = functional.binary_cross_entropy_with_logits(z, targets, reduction="none")
    elif rule == "softmax_cross_entropy":
        losses = functional.cross_entropy(z, targets, reduction="none")[:, None]
    else:
        losses = (targets - x) ** 2 / 2
    penalty = l2 / 2 * sum((weights**2).sum() for weights in parameters[:layers])
    return ((losses * weight[:, None]).sum() + penalty) / weight.sum()


@pytest.mark.parametrize(("rule", "hidden", "l2"), VARIANTS)
def test_the_mean_gradient_is_torchs(rule, hidden, l2):
    torch = pytest.importorskip("torch", reason="needs PyTorch's autograd")
    data = problem(rule)
    network = neuron_xp.train(
        *data[:2], iterations=3, hidden=hidden, bias=True, optimizer="lbfgs", rule=rule
    )
    learned = [torch.tensor(x, requires_grad=True) for x in (*network.weights, *network.biases)]
    mean_loss_of_torch(learned, *map(torch.tensor, data), rule, l2).backward()
    expected = np.concatenate([x.grad.numpy().ravel() for x in learned])
    found = package_optimizers.mean_gradient(
        network.weights, network.biases, *data[:2], data[2], rule=rule, l2=l2
    )
    assert np.max(np.abs(expected)) > 2.0**-10
    assert np.max(np.abs(found - expected)) < 2.0**-53


@pytest.mark.parametrize("rule", RULES)
def test_ten_steps_of_adam_are_torchs(rule):
    """PyTorch corrects the root of the mean square and then adds epsilon: it is given more."""
    torch = pytest.importorskip("torch", reason="needs PyTorch's Adam")
    inputs, targets, weight = problem(rule)
    settings = {"hidden": (4,), "bias": True, "optimizer": "adam", "rule": rule, "l2": 0.3}
    start, end = (
        neuron_xp.train(
            inputs, targets, sample_weight=weight, iterations=n, learning_rate=0.01, **settings
        )
        for n in (0, 10)
    )
    learned = [torch.tensor(x, requires_grad=True) for x in (*start.weights, *start.biases)]
    optimizer = torch.optim.Adam(learned, lr=0.01)
    data = [torch.tensor(x) for x in (inputs, targets, weight)]
    for number in range(1, 11):
        optimizer.param_groups[0]["eps"] = adam.EPSILON / (1 - adam.BETA2**number) ** 0.5
        optimizer.zero_grad()
        mean_loss_of_torch(learned, *data, rule, 0.3).backward()
        optimizer.step()
    for x, y, old in zip(
        (*end.weights, *end.biases), learned, (*start.weights, *start.biases), strict=True
    ):
        assert np.max(np.abs(x - y.detach().numpy())) < 2.0**-49
        assert np.max(np.abs(x - old)) > 0.01


def dense_direction(gradient, pairs):
    """-H g, where H is updated by each pair as a matrix: Nocedal and Wright, (6.17) and (7.20)."""
    s, y = pairs[-1]
    size = len(gradient)
    inverse = np.eye(size, dtype=np.longdouble) * (s @ y) / (y @ y)
    for s, y in pairs:
        rho = 1 / (s @ y)
        left = np.eye(size) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    return -inverse @ gradient


@pytest.mark.parametrize("count", [1, 2, 5, 10, 15])
@pytest.mark.parametrize("size", [10, 40])
def test_the_direction_is_that_of_a_dense_inverse(count, size):
    generator = np.random.RandomState(count)
    turn, _ = np.linalg.qr(generator.standard_normal((size, size)))
    hessian = turn @ np.diag(np.linspace(1, 100, size)) @ turn.T
    steps = generator.standard_normal((count, size))
    pairs = [(s, hessian @ s) for s in steps]
    gradient = generator.standard_normal(size)
    found = package_optimizers.direction(gradient, [list(pair) for pair in pairs])
    precise = [(s.astype(np.longdouble), y.astype(np.longdouble)) for s, y in pairs[-10:]]
    expected = dense_direction(gradient, precise).astype("float64")
    assert np.linalg.norm(found - expected) < 2.0**-49 * np.linalg.norm(expected)
    assert found @ gradient < 0


def test_the_direction_is_the_scalar_ports():
    generator = np.random.RandomState(4)
    steps = generator.standard_normal((13, 7))
    changes = steps * generator.random_sample(7) + 0.1 * generator.standard_normal((13, 7))
    gradient = generator.standard_normal(7).tolist()
    memory = []
    for i, (step, change) in enumerate(zip(steps.tolist(), changes.tolist(), strict=True)):
        memory = scalar_optimizers.remember(memory, step, change)
        assert len(memory) <= min(i + 1, 10)
        pairs = [[x.tolist() for x in pair] for pair in zip(steps, changes, strict=True)][: i + 1]
        assert package_optimizers.direction(gradient, pairs) == scalar_optimizers.direction(
            gradient, memory
        )
    assert len(memory) == 10


def test_adam_has_the_same_bits_everywhere(backend):
    """With slopes whose squares vanish, or overflow, among them."""
    generator = np.random.RandomState(5)
    arrays = generator.standard_normal((4, 300))
    arrays[2] = arrays[2] ** 2
    arrays[3] *= 2.0 ** generator.randint(-520, 20, 300)
    arrays[:, :4] = [[1, 1, 1, 1], [0, 0, 2.0**-899, 1], [0, 2.0**-959, 0, 1],
                     [2.0**-480, 2.0**-890, 0, 2.0**600]]  # fmt: skip
    found = {}
    for place in (backend, package_functions.NUMPY):
        arithmetic = choose_arithmetic(place, "reproducible", no_tiny_inputs=False)

        def step(old, mean, square, slope, arithmetic=arithmetic):
            moments = adam.Moments(mean, square)
            return adam.descend(old, moments, slope, 0.0625, arithmetic=arithmetic)

        with place.context():
            new, moments = place.compile(step)(*map(place.from_host, arrays))
            found[place.name, place is backend] = [place.to_host(x) for x in (new, *moments)]
    one, other = found.values()
    for x, y in zip(one, other, strict=True):
        assert (x + 0.0).tobytes() == (y + 0.0).tobytes()


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([1e308, 1e308, -1e308], 1e308),
        ([1e308, 1e308], np.inf),
        ([-1e308, -1e308, 1e290], -np.inf),
        ([1e308, 1e308, -np.inf], -np.inf),
        ([2.0**1023, 2.0**1023 - 2.0**970, 2.0**969], np.inf),
        ([2.0**1023, 2.0**1023 - 2.0**970, -(2.0**968)], float.fromhex("0x1.fffffffffffffp+1023")),
    ],
)
def test_exact_sums_round_as_ieee_754_does(terms, expected):
    assert add_exactly(terms) == expected
    assert add_exactly(terms[::-1]) == expected


def test_a_gradient_whose_square_overflows_ends_the_search():
    """Not an error of Python's, such as a division by 0."""
    network = neuron_xp.train(
        [[2.0**900], [-(2.0**901)]], [0, 1], optimizer="lbfgs", rule="cross_entropy", iterations=5
    )
    assert network.ending.reason in ("no lower loss", "converged")


def test_a_count_without_a_reciprocal_makes_no_subnormal():
    weight = [2.0**1022, 2.0**1022]
    network = neuron_xp.train(
        [[1.0], [0.5]], [0, 1], optimizer="lbfgs", sample_weight=weight, iterations=5
    )
    assert network.ending == ("converged", 0, 1)
