"""From the exponential to the learning rules on Python's own floats: the second part of the port.

The first is scalar_port.py.
"""

import functools
import hashlib
import math
import struct
from fractions import Fraction

import mpmath
from scalar_port import SMALLEST_FACTOR, SMALLEST_PRODUCT, flush, ordered_sum

# The exponential

EXP_STEPS = 256
SMALLEST_EXPONENT = -700.0
STEPS_PER_LN2 = float.fromhex("0x1.71547652b82fep+8")
LN2_HIGH = float.fromhex("0x1.62e42fefp-9")
LN2_LOW = float.fromhex("0x1.473de6af278edp-42")
EXP_COEFFICIENTS = [1 / 120, 1 / 24, 1 / 6, 1 / 2]


def two_parts(exact):
    high = float(exact)
    return high, float(exact - high)


@functools.cache
def exp_table(j):
    with mpmath.workprec(300):
        return two_parts(mpmath.mpf(2) ** (mpmath.mpf(j) / EXP_STEPS))


def exp(x):
    if not x > SMALLEST_EXPONENT:
        x = SMALLEST_EXPONENT
    k = round(x * STEPS_PER_LN2)  # half to even
    m, j = divmod(k, EXP_STEPS)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    series = EXP_COEFFICIENTS[0]
    for coefficient in EXP_COEFFICIENTS[1:]:
        series = r * series + coefficient
    growth = (r * r) * series + r
    high, low = exp_table(j)
    return (high + (low + high * growth)) * 2.0**m


# The logarithm

LOG_STEPS = 128
LOG_COEFFICIENTS = [1 / 7, -1 / 6, 1 / 5, -1 / 4, 1 / 3, -1 / 2]


@functools.cache
def log_table(j):
    with mpmath.workprec(300):
        return two_parts(mpmath.log(1 + mpmath.mpf(j) / LOG_STEPS))


def log1p(e):
    if not e >= 0:
        e = 0.0
    j = round(e * LOG_STEPS)  # half to even
    c = j / LOG_STEPS
    r = (e - c) / (1.0 + c)
    series = r * LOG_COEFFICIENTS[0]
    for coefficient in LOG_COEFFICIENTS[1:]:
        series = r * (series + coefficient)
    high, low = log_table(j)
    return high + (low + (r + r * series))


def log(x):
    k = 0
    while x >= 2.0:
        x, k = 0.5 * x, k + 1
    high, low = LN2_HIGH * EXP_STEPS, LN2_LOW * EXP_STEPS
    return k * high + (log1p(x - 1.0) + k * low)


def digest_of_table(table, count):
    numbers = [number for j in range(count) for number in table(j)]
    return hashlib.sha256(struct.pack(f"<{2 * count}d", *numbers)).hexdigest()


def exp_table_digest():
    return digest_of_table(exp_table, EXP_STEPS)


def log_table_digest():
    return digest_of_table(log_table, LOG_STEPS + 1)


# The square root


def sqrt(x):
    """Rounded to nearest, from the integer square root of 4^600 x, and a last bit for its rest."""
    if not 0.0 < x < math.inf:
        return x
    number = int(Fraction(x) * 4**600)
    root = math.isqrt(number)
    return float(Fraction(2 * root + (root * root < number), 2**601))


# The sigmoid


def sigmoid(z):
    e = exp(-abs(z))
    d = 1.0 / (1.0 + e)
    if z >= 0:
        return d
    return e * d if z < 0 else z


def sigmoid_gradient(output):
    return output * (1.0 - output)


# The softmax


def compare_classes(z):
    """z - max(z), and the sum of the exponentials of that."""
    largest = math.nan if any(map(math.isnan, z)) else max(z)
    below = [a - largest for a in z]
    return below, ordered_sum([exp(b) for b in below])


def softmax(z):
    below, total = compare_classes(z)
    per_total = 1.0 / total
    return [b if math.isnan(b) else flush(exp(b) * per_total, SMALLEST_PRODUCT) for b in below]


# Learning rules


def error_weighted_derivative(output, target):
    return flush((target - output) * sigmoid_gradient(output), SMALLEST_FACTOR)


def squared_error(output, target):
    error = target - output
    return flush(0.5 * (error * error), SMALLEST_FACTOR)


def cross_entropy(output, target):
    return flush(target - output, SMALLEST_FACTOR)


def logarithmic_loss(z, target):
    positive = z if z > 0 else 0.0
    return flush((positive - target * z) + log1p(exp(-abs(z))), SMALLEST_FACTOR)


def softmax_loss(z, targets):
    """One term for each class."""
    below, total = compare_classes(z)
    pairs = zip(targets, below, strict=True)
    return [flush(t * (log(total) - b), SMALLEST_FACTOR) for t, b in pairs]
