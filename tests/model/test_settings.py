"""Settings that go with an optimizer, those that do not, and what each is by default."""

import pytest

from neuron_xp.model.settings import check_settings

TOGETHER = {
    "optimizer": ({"optimizer": "lbgfs"}, "optimizer 'lbgfs'; did you mean 'lbfgs'?"),
    "rate": (
        {"optimizer": "lbfgs", "learning_rate": 0.5},
        "learning_rate=0.5 does not go with optimizer='lbfgs', which finds the length of each step",
    ),
    "batches": (
        {"optimizer": "lbfgs", "batch_size": 64},
        "batch_size=64 does not go with optimizer='lbfgs', which looks at all examples in each",
    ),
    "tolerance": (
        {"optimizer": "lbfgs", "tolerance": 0.1},
        "tolerance=0.1 does not go with optimizer='lbfgs': give gradient_tolerance, the largest",
    ),
    "gradient_tolerance": (
        {"gradient_tolerance": 0.1},
        "gradient_tolerance says when L-BFGS stops: give optimizer='lbfgs', or tolerance, which",
    ),
    "negative": (
        {"optimizer": "lbfgs", "gradient_tolerance": -1},
        "gradient_tolerance must be a finite number 0 or more; got -1",
    ),
    "auto": (
        {"optimizer": "adam", "learning_rate": "auto"},
        "'auto' is a safe step of gradient descent; with optimizer='adam' give a number, or leave",
    ),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_what_does_not_go_together_is_refused_in_a_line(name):
    given, message = TOGETHER[name]
    with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
        check_settings(**given)
    assert message in str(raised.value)


def test_each_optimizer_has_defaults_of_its_own():
    def defaults(optimizer, **given):
        s = check_settings(optimizer=optimizer, **given)
        return s.rule, s.learning_rate, s.iterations, s.loss_every, s.gradient_tolerance

    article = ("error_weighted_derivative", 1.0, 10_000, 100, None)
    assert defaults("gradient_descent") == article
    assert defaults(None, learning_rate=None, iterations=None, rule=None) == article
    assert defaults("lbfgs") == ("cross_entropy", None, 1000, 1, 1e-7)
    assert defaults("adam") == ("cross_entropy", 0.001, 10_000, 100, None)
    assert defaults("lbfgs", iterations=7, rule="error_weighted_derivative")[:3] == (
        "error_weighted_derivative", None, 7,
    )  # fmt: skip
