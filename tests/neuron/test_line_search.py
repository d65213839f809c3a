"""The line search: what it returns satisfies the conditions of Wolfe, or of Hager and Zhang."""

import math

import pytest
import scalar_search

from neuron_xp.neuron.optimizers.line_search import (
    CURVATURE,
    DECREASE,
    MOST_TRIALS,
    ROUNDING,
    Trial,
    search,
)


def quadratic(t):
    return (t - 3) ** 2, 2 * (t - 3)


def quartic(t):
    """Two valleys, and a hill between them."""
    return t**4 - 8 * t**3 + 18 * t**2 - 3 * t, 4 * t**3 - 24 * t**2 + 36 * t - 3


def barrier(t):
    """Not a number from t = 2 on."""
    if t >= 2:
        return math.nan, math.nan
    return -5 * t - math.log(2 - t), -5 + 1 / (2 - t)


def cliff(t):
    """Infinite beyond t = 1."""
    return (-t, -1.0) if t <= 1 else (math.inf, math.nan)


def level(t):
    """A fall that is lost in the rounding of a large loss: only the slope shows it."""
    return 1e6 + 1e-12 * (t - 3) ** 2, 2e-12 * (t - 3)


def long_way(t):
    return math.hypot(1, t - 1000), (t - 1000) / math.hypot(1, t - 1000)


FUNCTIONS = [quadratic, quartic, barrier, level, long_way]
FIRST_STEPS = [1e-6, 1e-3, 0.1, 1.0, 2.5, 7.0, 100.0, 1e6]


def run(function, first, search_=search):
    trials = []

    def evaluate(t):
        trials.append(t)
        return Trial(t, *function(t), found=t)

    found = search_(evaluate, Trial(0.0, *function(0.0)), first)
    return found, trials


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("first", FIRST_STEPS)
def test_what_is_found_satisfies_the_conditions(function, first):
    found, trials = run(function, first)
    loss, slope = function(0.0)
    assert slope < 0 < found.step == found.found == trials[-1]
    assert tuple(found[1:3]) == function(found.step)
    assert abs(found.slope) <= CURVATURE * abs(slope)
    if abs(found.loss - loss) <= ROUNDING * abs(loss):
        assert found.slope <= (2 * DECREASE - 1) * slope
    else:
        assert found.loss <= loss + DECREASE * found.step * slope
    assert len(trials) <= 24


def test_only_the_slope_shows_the_way_on_level_ground():
    found, _ = run(level, 2.5)
    assert found.loss == level(0.0)[0]
    assert found.step == 2.5


@pytest.mark.parametrize("first", FIRST_STEPS)
def test_without_a_flat_place_the_lowest_is_given(first):
    found, trials = run(cliff, first)
    assert found.step == max(t for t in trials if t <= 1)
    assert len(trials) <= MOST_TRIALS + 1


def test_none_is_given_where_nothing_is_lower():
    found, trials = run(lambda t: (abs(t), -1.0 if t == 0 else 1.0), 1.0)
    assert found is None
    assert len(trials) == MOST_TRIALS + 1


@pytest.mark.parametrize("function", [*FUNCTIONS, cliff])
@pytest.mark.parametrize("first", FIRST_STEPS)
def test_every_trial_is_the_scalar_ports(function, first):
    found, trials = run(function, first)
    other, others = run(function, first, scalar_search.search)
    assert (found, trials) == (other, others)
