"""Where threads meet: the last one to arrive does what one must do alone, then all go on.

They wait here for a few microseconds at a time. Python would need some fifty to wake them, and
its threads would take turns at its lock.

A meeting is an array of int64, whose numbers are changed atomically: see the places in it.
"""

import ctypes
import os
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neuron_xp.backends.numba_kernels.compiler import compiled

_I32 = ir.IntType(32)

_LINE = 8  # numbers of a line of the cache, which is what processors take from each other
TAKEN, ARRIVED, ROUND, IS_OVER, YIELD = range(0, 5 * _LINE, _LINE)
"""Places: tasks taken in this round, threads that have arrived, the round, whether a thread has
failed so that the others need not wait, and the address of the function that lets others run."""

PAUSES = 300
"""How often a waiting thread looks before it lets others run: some ten microseconds."""
_X86, _ARM = ("x86_64", "amd64"), ("aarch64", "arm64")
"""How the names of what is compiled for begin: not those of the machine, which may emulate it."""


def open_meeting() -> np.ndarray:
    """Return a meeting, at which nobody has arrived."""
    meeting = np.zeros(5 * _LINE, dtype="int64")
    meeting[YIELD] = _find_yield()
    return meeting


@cache
def _find_yield() -> int:
    """Return the address of the system's function by which a thread lets others run."""
    if os.name == "nt":
        function = ctypes.WinDLL("kernel32").SwitchToThread  # type: ignore[attr-defined]
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


@compiled
def take_task(meeting):
    """Return the number of the next task of this round."""
    return _add(meeting, TAKEN, 1)


@compiled
def arrive(meeting, threads):
    """Tell whether this is the last of the threads; another returns when the last one is done."""
    round_ = _load(meeting, ROUND)
    if _add(meeting, ARRIVED, 1) + 1 == threads:
        return True
    looks = 0
    while _load(meeting, ROUND) == round_ and _load(meeting, IS_OVER) == 0:
        looks += 1
        if looks < PAUSES:
            _pause()
        else:
            _call(meeting[YIELD])
    return False


@compiled
def begin_round(meeting):
    """Let all go on: the last to arrive calls it when it has done its work."""
    _store(meeting, TAKEN, 0)
    _store(meeting, ARRIVED, 0)
    _store(meeting, ROUND, _load(meeting, ROUND) + 1)  # after which the others see all the rest


@compiled
def is_over(meeting):
    """Tell whether a thread has failed."""
    return _load(meeting, IS_OVER) != 0


def _find_place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    pointer = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.gep(pointer, [arguments[1]])


@intrinsic
def _add(typing, meeting, place, number):
    """Add to a number, and return what it was before."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _find_place(context, builder, signature, arguments)
        return builder.atomic_rmw("add", at, arguments[2], "acq_rel")

    return types.int64(meeting, types.int64, types.int64), code


@intrinsic
def _load(typing, meeting, place):
    """Return a number, and see all that was written before it was."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _find_place(context, builder, signature, arguments)
        return builder.load_atomic(at, "acquire", align=8)

    return types.int64(meeting, types.int64), code


@intrinsic
def _store(typing, meeting, place, number):
    """Set a number: who sees it sees all that was written before."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _find_place(context, builder, signature, arguments)
        builder.store_atomic(arguments[2], at, "release", align=8)
        return context.get_dummy_value()

    return types.void(meeting, types.int64, types.int64), code


@intrinsic
def _pause(typing):
    """Leave the core to its other thread for a moment, on processors that have a word for it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if builder.module.triple.startswith(_X86):
            builder.call(_declare(builder, "llvm.x86.sse2.pause"), [])
        elif builder.module.triple.startswith(_ARM):
            builder.call(_declare(builder, "llvm.aarch64.hint", _I32), [_I32(1)])  # YIELD
        return context.get_dummy_value()

    return types.void(), code


def _declare(builder: Any, name: str, *arguments: Any) -> Any:
    type_ = ir.FunctionType(ir.VoidType(), arguments)
    return cgutils.get_or_insert_function(builder.module, type_, name)


@intrinsic
def _call(typing, address):
    """Call a function of C without arguments, whose result is of no interest."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        type_ = ir.FunctionType(_I32, [])
        builder.call(builder.inttoptr(arguments[0], type_.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.int64), code
