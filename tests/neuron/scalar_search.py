"""The line search of L-BFGS on Python's own floats: a part of scalar_optimizers.py.

A trial is (step, loss, slope) and whatever came with them.
"""

import math

from scalar_functions import sqrt

DECREASE = 1e-4
STEEPNESS = 0.9
ROUNDING = 2.0**-44
GROWTH = 4.0
MOST_TRIALS = 40


def is_finite(trial):
    return math.isfinite(trial[1]) and math.isfinite(trial[2])


def is_level(loss, other):
    return abs(loss - other) <= ROUNDING * abs(other)


def is_higher(trial, other):
    return trial[1] >= other[1] and not is_level(trial[1], other[1])


def is_too_high(trial, start):
    step, loss, slope = trial[:3]
    if not is_finite(trial):
        return True
    if is_level(loss, start[1]):
        return slope > (2 * DECREASE - 1) * start[2]
    return loss > start[1] + DECREASE * step * start[2]


def is_flat(trial, start):
    return abs(trial[2]) <= -STEEPNESS * start[2]


def lower(best, trial):
    """Of two trials the one with the lower loss; `best` is None before the first."""
    return trial if trial[1] < best[1] and math.isfinite(trial[2]) else best


def search(evaluate, start, step):
    """A trial that satisfies the conditions, else the lowest; None if none is below the start."""
    previous, best = start, start
    for number in range(MOST_TRIALS):
        trial = evaluate(step)
        best = lower(best, trial)
        ends = None
        if is_too_high(trial, start) or is_higher(trial, previous):
            ends = previous, trial
        elif is_flat(trial, start):
            return trial
        elif trial[2] >= 0:
            ends = trial, previous
        if ends:
            return zoom(evaluate, start, *ends, best, MOST_TRIALS - number)
        previous, step = trial, GROWTH * step
    return None if best is start else best


def zoom(evaluate, start, low, high, best, trials):
    for _ in range(trials):
        step = interpolate(low, high)
        if step in (low[0], high[0]):
            break
        trial = evaluate(step)
        best = lower(best, trial)
        if is_too_high(trial, start) or is_higher(trial, low):
            high = trial
            continue
        if is_flat(trial, start):
            return trial
        if trial[2] * (high[0] - low[0]) >= 0:
            high = low
        low = trial
    return None if best is start else best


def interpolate(low, high):
    a, width = low[0], high[0] - low[0]
    step = cubic_minimum(low, high)
    if not math.isfinite(step):
        return a + 0.5 * width
    near, far = a + 0.1 * width, high[0] - 0.1 * width
    return min(max(step, min(near, far)), max(near, far))


def cubic_minimum(low, high):
    """NaN where there is none."""
    (a, loss_a, slope_a), (b, loss_b, slope_b) = low[:3], high[:3]
    if not (is_finite(low) and is_finite(high)):
        return math.nan
    d1 = (slope_a + slope_b) - 3.0 * ((loss_a - loss_b) / (a - b))
    square = d1 * d1 - slope_a * slope_b
    if not 0.0 <= square < math.inf:
        return math.nan
    d2 = sqrt(square) if b > a else -sqrt(square)
    divisor = (slope_b - slope_a) + 2.0 * d2
    if divisor == 0.0:
        return math.nan
    return b - (b - a) * (((slope_b + d2) - d1) / divisor)


def search_polynomial(coefficients, step):
    """[the step, how many were tried] where the loss is a polynomial; the step 0.0 if none is."""
    trials = []

    def evaluate(length):
        loss = slope = 0.0
        for coefficient in coefficients:
            slope = slope * length + loss
            loss = loss * length + coefficient
        trials.append(length)
        return length, loss, slope

    start = evaluate(0.0)
    found = search(evaluate, start, step)
    return [found[0] if found else 0.0, len(trials) - 1]
