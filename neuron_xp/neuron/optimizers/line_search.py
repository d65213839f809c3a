"""A line search for the strong Wolfe conditions.

Nocedal and Wright, "Numerical optimization", second edition (2006), algorithms 3.5 and 3.6 with
the cubic interpolation (3.59). Near a minimum, where the loss changes by less than its rounding,
the slope decides: the approximate Wolfe conditions of Hager and Zhang, SIAM Journal on
Optimization 16 (2005).
"""

from collections.abc import Callable
from math import inf, isfinite, sqrt
from typing import Any, NamedTuple

DECREASE, CURVATURE = 1e-4, 0.9
"""c1 and c2 of the Wolfe conditions."""
ROUNDING = 2.0**-44
"""Losses that differ by no more than this share may differ by rounding only."""
GROWTH = 4.0
MOST_TRIALS = 40


class Trial(NamedTuple):
    """A step along the line, the loss and its slope there, and whatever came with them."""

    step: float
    loss: float
    slope: float
    found: Any = None


def search(evaluate: Callable[[float], Trial], start: Trial, first_step: float) -> Trial | None:
    """Find a step along a downhill line that satisfies the strong Wolfe conditions.

    loss(step) <= loss(0) + c1 step slope(0)    and    |slope(step)| <= c2 |slope(0)|

    start : at the step 0, with a negative slope
    Without such a step the lowest one that was tried is returned, or None if none is lower.
    """
    before, step, lowest = start, first_step, start
    for number in range(MOST_TRIALS):
        trial = evaluate(step)
        lowest = _choose_lower(lowest, trial)
        if _is_too_high(trial, start) or _is_higher(trial, before):
            return _zoom(evaluate, start, before, trial, lowest, MOST_TRIALS - number)
        if abs(trial.slope) <= -CURVATURE * start.slope:
            return trial
        if trial.slope >= 0:
            return _zoom(evaluate, start, trial, before, lowest, MOST_TRIALS - number)
        before, step = trial, GROWTH * step
    return None if lowest is start else lowest


def _zoom(
    evaluate: Callable[[float], Trial],
    start: Trial,
    low: Trial,
    high: Trial,
    lowest: Trial,
    trials: int,
) -> Trial | None:
    """Narrow an interval that holds such steps; `low` is its end with the lower loss."""
    for _ in range(trials):
        step = _interpolate(low, high)
        if step in (low.step, high.step):
            break
        trial = evaluate(step)
        lowest = _choose_lower(lowest, trial)
        if _is_too_high(trial, start) or _is_higher(trial, low):
            high = trial
            continue
        if abs(trial.slope) <= -CURVATURE * start.slope:
            return trial
        if trial.slope * (high.step - low.step) >= 0:
            high = low
        low = trial
    return None if lowest is start else lowest


def _is_too_high(trial: Trial, start: Trial) -> bool:
    """Tell whether the loss fell too little; a loss that is not finite did."""
    if not isfinite(trial.loss) or not isfinite(trial.slope):
        return True
    if _is_level(trial.loss, start.loss):
        return trial.slope > (2 * DECREASE - 1) * start.slope
    return trial.loss > start.loss + DECREASE * trial.step * start.slope


def _is_higher(trial: Trial, other: Trial) -> bool:
    return trial.loss >= other.loss and not _is_level(trial.loss, other.loss)


def _is_level(loss: float, other: float) -> bool:
    return abs(loss - other) <= ROUNDING * abs(other)


def _choose_lower(a: Trial, b: Trial) -> Trial:
    return b if b.loss < a.loss and isfinite(b.slope) else a


def _interpolate(a: Trial, b: Trial) -> float:
    """Return the minimum of the cubic through both ends, but not too near to either."""
    width = b.step - a.step
    step = _find_cubic_minimum(a, b)
    least, most = sorted((a.step + 0.1 * width, b.step - 0.1 * width))
    return min(max(step, least), most) if isfinite(step) else a.step + 0.5 * width


def _find_cubic_minimum(a: Trial, b: Trial) -> float:
    """(3.59), where a and b are the steps i - 1 and i; infinity where there is none."""
    if not all(map(isfinite, (a.loss, a.slope, b.loss, b.slope))):
        return inf
    d1 = a.slope + b.slope - 3 * ((a.loss - b.loss) / (a.step - b.step))
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < inf:
        return inf
    d2 = sqrt(square) if b.step > a.step else -sqrt(square)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return inf
    return b.step - (b.step - a.step) * ((b.slope + d2 - d1) / divisor)
