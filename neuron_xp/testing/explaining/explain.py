"""Explanation: the first operation at which two runs part, and why, found out by trying."""

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np

from neuron_xp.article import ARTICLE_INPUTS, ARTICLE_TARGETS
from neuron_xp.backends.backend import Backend
from neuron_xp.backends.libraries import open_backend
from neuron_xp.errors import unknown_keyword_error
from neuron_xp.model.settings import DEFAULTS, check_settings
from neuron_xp.testing.explaining.comparing import are_same, compare
from neuron_xp.testing.explaining.explanation import Explanation
from neuron_xp.testing.explaining.runs import FunctionRun, open_runs
from neuron_xp.training.data.training_set import Given

ITERATIONS = 10


def explain(
    a: Any, b: Any, inputs: Any = None, targets: Any = None, *,
    sample_weight: Any = None, **settings: Any,
) -> Explanation:  # fmt: skip
    """Find the first operation at which the same training parts on two backends, and why.

    Both trainings are done one array operation at a time, without kernels and compilers. The
    operations of the preparation and of the first iteration are compared; then what each
    iteration gives, and the operations of the first that gives something else. What an operation
    was given is then computed on the host in many ways: sums in other orders, fused
    multiply-adds, float32, reciprocals, flushed subnormals. A cause is named if it gives the
    bits that were seen.

    Parameters
    ----------
    a, b : name, such as "numpy" or "torch:cuda:0", Array API namespace, or Backend
        Also one that `train` would refuse, as it does not give the defined bits.
    inputs, targets, sample_weight : as those of `neuron_xp.train`, in memory
        Without inputs and targets, the article's.
    **settings
        Those of `neuron_xp.train`; 10 iterations, if nothing else is said. The optimizer is
        gradient descent.

    Returns
    -------
    Explanation
        `parts` says whether they part, `parting` where and why; its text is a few lines.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it may be.
    UnknownBackendError, MissingBackendError, UnusableBackendError
        As from `neuron_xp.train`.

    Examples
    --------
    >>> from neuron_xp.testing import explain
    >>> explain("numpy", "array_api_strict", iterations=3).parts
    False
    """
    for name in settings:
        if name not in DEFAULTS:
            known = set(signature(explain).parameters) - {"settings"} | set(DEFAULTS)
            raise unknown_keyword_error("explain", name, known)
    if settings.get("optimizer", "gradient_descent") != "gradient_descent":
        raise ValueError(
            f"optimizer={settings['optimizer']!r} does not go with explain, which follows gradient "
            "descent: leave it out; all of them sum their gradients by the same operations"
        )
    checked = check_settings(**{"iterations": ITERATIONS} | settings)
    if inputs is None and targets is None:
        inputs, targets = ARTICLE_INPUTS, ARTICLE_TARGETS
    if inputs is None or targets is None:
        missing = "inputs" if inputs is None else "targets"
        raise TypeError(f"{missing} are missing; give inputs and targets, or neither")
    backends = _open(a), _open(b)
    given = Given(inputs=inputs, targets=targets, sample_weight=sample_weight)
    first, second, note = open_runs(backends, given, checked)
    found, ends = compare((first, second))
    notes = [*found.notes, note] if note else [*found.notes]
    if not found.parts:
        runs = first, second
        compiled = [run.finish_compiled() if run.backend.compiled else end
                    for run, end in zip(runs, ends, strict=True)]  # fmt: skip
        changed = {run.backend.name: None
                   for run, end, one in zip(runs, ends, compiled, strict=True)
                   if not are_same(one, end)}  # fmt: skip
        notes += [
            f"{name} ends on other bits where train compiles its operations together: its "
            "compiler changes them, which cannot be seen one operation at a time"
            for name in changed
        ]
        found = replace(found, parts=not are_same(*compiled))
    return replace(found, notes=tuple(notes))


def explain_function(function: Callable[..., Any], a: Any, b: Any, *arrays: Any) -> Explanation:
    """Find the first operation at which a function parts on two backends, and why.

    function(xp, *arrays) : uses nothing but the namespace and operators; returns arrays
    a, b : as those of `explain`
    arrays : NumPy arrays, or what makes some

    >>> import numpy as np
    >>> from neuron_xp.testing import explain_function
    >>> def normalize(xp, x):
    ...     return x / xp.sum(x, axis=1, keepdims=True)
    >>> x = np.ones((2, 3))
    >>> print(explain_function(normalize, "numpy", "array_api_strict", x))
    numpy and array_api_strict do not part
    compared  3 operations, which gave 14 numbers
    """
    backends = _open(a), _open(b)
    on_host = tuple(np.array(array) for array in arrays)
    first, second = (FunctionRun(backend, function, on_host) for backend in backends)
    return compare((first, second))[0]


def _open(backend: Any) -> Backend:
    """Open a backend; a name may have a device, as in "torch:cuda:0"."""
    if isinstance(backend, str):
        name, _, device = backend.partition(":")
        return open_backend(name, device or None)
    return open_backend(backend)
