"""Explanations: records of what was compared and where two runs part, and their text."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuron_xp.bits import count_ulps
from neuron_xp.errors import show_text
from neuron_xp.testing.explaining.recording import Line, Recorded, normalize
from neuron_xp.testing.explaining.trying.causes import Cause


@dataclass(frozen=True)
class Compared:
    """How much was compared.

    iterations : whose ends were compared; 0 for a function
    operations : in the iterations that were recorded
    numbers : that these operations gave
    """

    iterations: int
    operations: int
    numbers: int


@dataclass(frozen=True)
class Parting:
    """The first operation at which two runs part.

    when : "iteration 1"
    function : of this package's arithmetic ("weighted_sum"), or what else asked for it
    layer : " of layer 1", where that is known
    operation : the standard's name: "matmul"
    line : the code
    index : of the first number that differs; None where shapes or types do
    values : the two there, as they are
    hexadecimal : the two, spelled without rounding
    ulp : how far they are apart; None where these are no floats
    differing, size, largest : how many differ, of how many, and by how many ulp at most
    cause : why
    """

    when: str
    function: str
    layer: str
    operation: str
    line: Line
    index: tuple[int, ...] | None
    values: tuple[Any, Any]
    hexadecimal: tuple[str, str]
    ulp: int | None
    differing: int
    size: int
    largest: int | None
    cause: Cause


@dataclass(frozen=True)
class Explanation:
    """What was compared, where two runs part, and why; as text: a few lines.

    names : of the two
    parting : None where no operation was found at which they part
    notes : what else is to be known, a sentence each
    parts : whether they part
    """

    names: tuple[str, str]
    compared: Compared
    parting: Parting | None
    parts: bool
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        both = f"{self.names[0]} and {self.names[1]}"
        compared = (
            f"{self.compared.operations:,} operations, which gave {self.compared.numbers:,} numbers"
        )
        if self.parting is None:
            head = f"{both} {'part' if self.parts else 'do not part'}"
            if self.compared.iterations:
                compared += f", and what each of {self.compared.iterations} iterations gave"
            pairs = [("compared", compared)]
        else:
            parting = self.parting
            head = f"{both} part in {parting.when}: {parting.operation} in {parting.function}"
            head += parting.layer
            pairs = [*_list_facts(parting, self.names), ("compared", f"{compared}, to there")]
        pairs += [("note", note) for note in self.notes]
        width = max(len(name) for name, _ in pairs)
        return "\n".join([head, *(f"{name.ljust(width)}  {show_text(v)}" for name, v in pairs)])


def _list_facts(parting: Parting, names: tuple[str, str]) -> list[tuple[str, str]]:
    line, cause = parting.line, parting.cause
    facts = [("where", f"{line.text}  ({line.file}:{line.number})")]
    if parting.index is not None:
        facts.append(("first at", f"{list(parting.index)}"))
    facts += list(zip(names, parting.hexadecimal, strict=True))
    if parting.ulp is not None:
        facts.append(("apart", f"{parting.ulp:,} ulp"))
    if parting.index is not None:
        most = "" if parting.largest is None else f", by {parting.largest:,} ulp at most"
        facts.append(("differing", f"{parting.differing:,} of {parting.size:,}{most}"))
    facts.append(("why", cause.name or "not found"))
    facts += [("", words) for words in cause.words]
    if cause.tried:
        elsewhere = f" and {cause.elsewhere} others" if cause.elsewhere else ""
        facts.append(
            ("tried", f"{cause.tried} ways, at {cause.places} places that differ{elsewhere}")
        )
    return facts


def describe_parting(when: str, layer: str, a: Recorded, b: Recorded, cause: Cause) -> Parting:
    """Describe where the results of an operation first differ; both have one result."""
    first, second = normalize(a.results[0]), normalize(b.results[0])
    common: dict[str, Any] = {
        "when": when,
        "function": a.line.function if a.call is None else a.call.function,
        "layer": layer, "operation": a.name, "line": a.line, "size": first.size, "cause": cause,
    }  # fmt: skip
    if first.shape != second.shape or first.dtype != second.dtype:
        spelled = f"{first.dtype}, {first.shape}", f"{second.dtype}, {second.shape}"
        return Parting(
            **common, index=None, values=(first, second), hexadecimal=spelled, ulp=None,
            differing=first.size, largest=None,
        )  # fmt: skip
    is_float = first.dtype.kind == "f"
    differs = first != second
    if is_float:
        differs &= ~(np.isnan(first) & np.isnan(second))
    at = np.unravel_index(int(np.argmax(differs)), differs.shape)
    ulps = count_ulps(first, second) if is_float else None
    values = first[at].item(), second[at].item()
    return Parting(
        **common,
        index=tuple(map(int, at)),
        values=values,
        hexadecimal=(_spell(values[0]), _spell(values[1])),
        ulp=None if ulps is None else int(ulps[at]),
        differing=int(differs.sum()),
        largest=None if ulps is None else int(ulps.max()),
    )


def _spell(value: Any) -> str:
    return f"{value.hex()}  {value!r}" if isinstance(value, float) else repr(value)
