"""Comparison of two runs, stage by stage, down to the first operation that gives other bits."""

from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend, name_device
from neuron_xp.testing.explaining.explanation import (
    Compared,
    Explanation,
    Parting,
    describe_parting,
)
from neuron_xp.testing.explaining.recording import Recorded, Recorder, digest
from neuron_xp.testing.explaining.runs import Run
from neuron_xp.testing.explaining.trying.causes import Cause, find_cause
from neuron_xp.testing.explaining.watching import map_nested

RECORDED = (0, 1)
"""Stages that are recorded at once: the preparation, and the first iteration."""


def compare(runs: tuple[Run, Run]) -> tuple[Explanation, tuple[Any, Any]]:
    """Compare stage by stage; return what was found, and what both ended on."""
    names = _name_apart(runs[0].backend, runs[1].backend)
    states: tuple[Any, Any] = (None, None)
    operations, numbers, parting, stage = 0, 0, None, 0
    for stage in range(runs[0].stages):
        if stage not in RECORDED:
            after = runs[0].do(stage, states[0]), runs[1].do(stage, states[1])
            if are_same(*after):
                states = after
                continue
        recorders = Recorder(runs[0].backend.eager()), Recorder(runs[1].backend.eager())
        after = tuple(
            run.do(stage, state, recorder)
            for run, state, recorder in zip(runs, states, recorders, strict=True)
        )
        number = _find_first_difference(*recorders)
        counted = recorders[0].count(number)
        operations, numbers = operations + counted[0], numbers + counted[1]
        if number is not None:
            parting = _explain_operation(runs, stage, states, recorders, number, names)
        if number is not None or not are_same(*after):
            break
        states = after
    parts = parting is not None or not are_same(*after)
    unseen = (
        f"what they give differs in {runs[0].name_stage(stage)}, and no operation does when each "
        "is looked at: a library may put operations together, or give other bits each time"
    )
    found = Explanation(
        names=names,
        compared=Compared(stage, operations, numbers),
        parting=parting,
        parts=parts,
        notes=(unseen,) if parts and parting is None else (),
    )
    return found, after


def _find_first_difference(a: Recorder, b: Recorder) -> int | None:
    """Return the number of the first operation whose results differ; None if none do."""
    for number, (first, second) in enumerate(zip_longest(a.digests, b.digests)):
        if first != second:
            names = [pair[0] if pair else "nothing" for pair in (first, second)]
            if names[0] != names[1]:
                raise ValueError(
                    f"the two do other operations from the {number + 1}. on, {names[0]} and "
                    f"{names[1]}: give a function that does the same whatever the library"
                )
            return number
    return None


def _explain_operation(
    runs: tuple[Run, Run],
    stage: int,
    states: tuple[Any, Any],
    recorders: tuple[Recorder, Recorder],
    number: int,
    names: tuple[str, str],
) -> Parting:
    """Do the stage again, with an operation recorded in full, and find out why it differs."""
    recorded, changed = [], []
    for run, state, before, name in zip(runs, states, recorders, names, strict=True):
        recorder = Recorder(run.backend.eager(), wanted=number)
        run.do(stage, state, recorder)
        assert recorder.recorded is not None, "the stage is the same"
        recorded.append(recorder.recorded)
        if recorder.digests[number] != before.digests[number]:
            changed.append(name)
    a, b = _choose_result(*recorded)
    same_kind = (a.results[0].shape, a.results[0].dtype) == (b.results[0].shape, b.results[0].dtype)
    if changed:
        words = tuple(f"{name} gives other bits each time" for name in changed)
        cause = Cause("no two times the same", words, tried=0, places=0, elsewhere=0)
    elif not same_kind:
        cause = Cause("another type or shape", (), tried=0, places=0, elsewhere=0)
    else:
        cause = find_cause(a, b, names)
    return describe_parting(runs[0].name_stage(stage), runs[0].name_layer(a.call), a, b, cause)


def _choose_result(a: Recorded, b: Recorded) -> tuple[Recorded, Recorded]:
    """Return both with only the first of their results that differs."""
    for x, y in zip(a.results, b.results, strict=False):
        if digest((x,)) != digest((y,)):
            return replace(a, results=(x,)), replace(b, results=(y,))
    return replace(a, results=a.results[:1]), replace(b, results=b.results[:1])


def are_same(a: Any, b: Any) -> bool:
    """Tell whether two nests of arrays hold the same numbers."""
    return _digest_all(a) == _digest_all(b)


def _digest_all(value: Any) -> bytes:
    arrays: list[np.ndarray] = []
    map_nested(lambda x: arrays.append(np.asarray(x)) if x is not None else None, value)
    return digest(tuple(arrays))


def _name_apart(a: Backend, b: Backend) -> tuple[str, str]:
    """Name two backends in a word or two; by their devices only where that tells them apart."""
    if a.name != b.name:
        return a.name, b.name
    names = (f"{a.name}:{name_device(a.device)}", f"{b.name}:{name_device(b.device)}")
    return names if names[0] != names[1] else (f"the first {a.name}", f"the second {a.name}")
