"""scikit-learn's own checks of an estimator: all of them, and none that is expected to fail.

Those on arrays of other libraries are in `array_api_checks.py`.
"""

import pytest
from configurations import CONFIGURATIONS
from sklearn.utils.estimator_checks import _check_name, estimator_checks_generator


def list_checks():
    for name, estimator in CONFIGURATIONS.items():
        for instance, check in estimator_checks_generator(estimator):
            if "array_api" not in _check_name(check):
                yield pytest.param(instance, check, id=f"{name}-{_check_name(check)}")


@pytest.mark.parametrize(("estimator", "check"), list(list_checks()))
def test_the_estimator_keeps_the_conventions(estimator, check):
    check(estimator)
