"""Faults: what may not be in a reproducible program for a GPU, counted in what XLA made of it."""

import re
from collections.abc import Iterator

from ci.jax_on_h100.target import Compiled

_FUNCTIONS = (
    "atan2|cbrt|cosine|erf|exponential|exponential-minus-one|log|log-plus-one|logistic|power|"
    "rsqrt|sine|sqrt|tan|tanh"
)
_IN_HLO = {
    "matrix products": r"= \(?f\d+\S* (?:dot|convolution|triangular-solve|cholesky)\(",
    "calls of other libraries": r" custom-call\(",
    "functions of the library": rf"= f\d+\S* (?:{_FUNCTIONS})\(",
    "sums in any order": r"= \(?f\d+\S* (?:reduce-window|select-and-scatter|all-reduce)\(",
}
_IN_LLVM = {
    "fused multiply-adds": r"@llvm\.(?:fma|fmuladd)\.|@llvm\.nvvm\.fma\.",
    "freedom to fuse or reorder": (
        r"= f(?:add|sub|mul|div)[a-z ]* (?:fast|reassoc|arcp|contract|afn) "
    ),
    "functions of the library": (  # all but fabs and rint, which are exact
        r"call [^\n]*@(?:__nv_(?!fabs\b|rint\b)|llvm\.(?:exp|log|pow|sin|cos|sqrt)\w*\.f\d)"
    ),
    "flushed to zero": (
        r"denormal_fpenv\(\w*(?:preservesign|positivezero)|denormal-fp-math\S*=\"(?!ieee)"
    ),
}
_IN_PTX = {
    "fused multiply-adds": r"\b(?:fma|mad)\.\S*f(?:16|32|64)\b",
    # ptxas fuses a product that is not said to be rounded
    "freedom to fuse or reorder": r"(?<![.\w])(?:add|sub|mul)\.(?:ftz\.)?f(?:32|64)\b",
    "approximate": r"\.approx\b",
    "division and roots not rounded to nearest": r"\b(?:div|rcp|sqrt)\.(?!rn\.)\S*f(?:32|64)\b",
    "flushed to zero": r"\.ftz\b",
    "less than float64": r"\b(?:add|sub|mul|div|rcp|sqrt|fma)\.\S*f(?:16|32)\b",
    "sums in any order": r"\b(?:atom|red)\.\S*add\S*\.f(?:32|64)\b",
}
_REDUCE = (
    r"^ *(?:ROOT )?\S+ = \(?f\d+.* reduce\(.*to_apply=%?([\w.-]+)"  # a reduction of floats, by name
)
_ORDERLESS = {"maximum", "minimum", "compare", "select"}

WRITTEN_BY_HAND = Compiled(
    hlo='%c = (f64[4]{0}, s8[8]{0}) custom-call(%x), custom_call_target="__cublas$gemm"\n',
    llvm="%3 = fmul contract double %1, %2\n",
    ptx="mul.f64 %fd3, %fd1, %fd2;\ndiv.full.f32 %f3, %f1, %f2;\n",
)
"""Faults that this XLA makes in no program."""

NAMES = tuple(dict.fromkeys([*_IN_PTX, *_IN_LLVM, *_IN_HLO]))


def count_faults(compiled: Compiled) -> dict[str, int]:
    """Return how often each fault occurs, those that occur not at all with 0."""
    counts = dict.fromkeys(NAMES, 0)
    tables = zip(compiled, (_IN_HLO, _IN_LLVM, _IN_PTX), strict=True)
    for text, patterns in tables:
        for name, pattern in patterns.items():
            counts[name] += len(re.findall(pattern, text))
    counts["sums in any order"] += sum(1 for _ in _find_sums(compiled.hlo))
    return counts


def _find_sums(hlo: str) -> Iterator[str]:
    """Yield the reductions of floats whose order could be seen: all but maxima and minima."""
    bodies = dict(re.findall(r"^%?([\w.-]+) \([^\n]*\{\n(.*?)^\}", hlo, re.MULTILINE | re.DOTALL))
    for name in re.findall(_REDUCE, hlo, re.MULTILINE):
        done = set(re.findall(r"= \S+ ([a-z-]+)\(", bodies[name])) - {"parameter", "tuple"}
        if not done <= _ORDERLESS:
            yield name


def count_work(compiled: Compiled) -> dict[str, int]:
    """Count the kernels, and the operations of float64 that say how they round."""

    def count(pattern: str) -> int:
        return len(re.findall(pattern, compiled.ptx))

    return {
        "kernels": count(r"\.entry "),
        "rounded to nearest": count(r"\b(?:add|sub|mul|div|rcp|sqrt)\.rn\.f64\b"),
    }
