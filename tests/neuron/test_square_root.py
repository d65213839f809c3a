"""The square root against integers, where it is hardest to round."""

import numpy as np
import pytest
import scalar_functions

from neuron_xp.backends.probe.trust import choose_arithmetic
from neuron_xp.neuron.arithmetic import reproducible_arithmetic

LARGEST = float.fromhex("0x1.fffffffffffffp+1023")


def roots_of(rest, bits):
    """Every odd n < 2^bits with n^2 = rest modulo 2^bits; rest = 1 modulo 8."""
    n = 1
    for k in range(3, bits):
        if (n * n - rest) >> k & 1:
            n += 1 << (k - 1)
    half = 1 << (bits - 1)
    return {x % (1 << bits) for x in (n, -n, n + half, -n + half)}


def nearest_to_middles():
    """The f in [1, 4) nearest to the square of a middle between two floats.

    A middle is n / 2^53 with n odd, and f = (n^2 - rest) / 2^106 where rest is so small that no
    other float is as near. Below 2 f is a multiple of 2^-52, so that n^2 - rest is one of 2^54;
    above it the two are 2^-51 and 2^55. Every other f is further from any middle than our root
    is off before it is rounded: the specification has the bound.
    """
    found = []
    for bits, low, high in ((54, 1, 2), (55, 2, 4)):
        for rest in range(-799, 801, 8):
            for root in roots_of(rest % (1 << bits), bits):
                square = root * root - rest
                if root >> 53 == 1 and low << 106 <= square < high << 106:
                    found.append(square / (1 << 106))
    return found


def hard_numbers():
    generator = np.random.RandomState(1)
    middles = nearest_to_middles()
    assert len(middles) > 100
    assert min(middles) < 2 < max(middles)
    scaled = np.ldexp(middles, 2 * generator.randint(-511, 512, len(middles)))
    powers = 4.0 ** np.arange(-511, 512)
    near = [np.nextafter(powers, 0), powers, np.nextafter(powers, np.inf)]
    near += [np.nextafter(2 * powers, 0), 2 * powers, np.nextafter(2 * powers, np.inf)]
    near_1 = 1 + np.arange(-50, 51) * 2.0**-53
    near_4 = np.nextafter(4, 0) - np.arange(50) * 2.0**-51
    ends = [2.0**-1022, np.nextafter(2.0**-1022, 1), LARGEST, np.nextafter(LARGEST, 0)]
    anything = np.ldexp(
        1 + generator.random_sample(5000), generator.randint(-1022, 1023, 5000)
    )  # PyTorch's own, on the processor with AVX2, is off for 1.3 % of such numbers
    x = np.concatenate([middles, scaled, *near, near_1, near_4, ends, anything])
    return np.concatenate([[0.0], x[x >= 2.0**-1022]])


HARD = hard_numbers()
ROUNDED = np.asarray([scalar_functions.sqrt(float(x)) for x in HARD])


@pytest.mark.parametrize("own", [False, True], ids=["ours", "the backend's choice"])
def test_sqrt_is_correctly_rounded(backend, own):
    with backend.context():
        if own:
            arithmetic = choose_arithmetic(backend, "reproducible", no_tiny_inputs=False)
        else:
            arithmetic = reproducible_arithmetic(
                backend.xp, device=backend.device, compiled=backend.compiled, rounds_sqrt=False
            )
        sqrt = backend.compile(arithmetic.sqrt)
        found = backend.to_host(sqrt(backend.from_host(HARD)))
        wrong = [float(x).hex() for x in HARD[found != ROUNDED]]
        assert not wrong
        odd = backend.to_host(sqrt(backend.from_host(np.asarray([[np.inf], [np.nan]]))))
    assert odd[0] == np.inf
    assert np.isnan(odd[1])
    assert odd.shape == (2, 1)


def test_the_port_is_right_by_integers_alone():
    """Neither neighbour's middle lies between x and the square of what it gives."""
    for x, root in zip(HARD[1:].tolist(), ROUNDED[1:].tolist(), strict=True):
        _, power = np.frexp(root)
        whole = int(np.ldexp(root, 54 - power))  # 2 m: the middles are 2 m - 1 and 2 m + 1
        top, bottom = x.as_integer_ratio()
        shift = 2 * (54 - int(power))
        top, bottom = (top << shift, bottom) if shift >= 0 else (top, bottom << -shift)
        assert (whole - 1) ** 2 * bottom < top < (whole + 1) ** 2 * bottom
