"""Comparison of two model files: which numbers differ first, and which settings."""

from dataclasses import asdict, dataclass
from os import PathLike

import numpy as np

from neuron_xp.bits import count_ulps
from neuron_xp.errors import show_text
from neuron_xp.model.model_file import Model
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.testing.explaining.recording import digest, normalize


@dataclass(frozen=True)
class Difference:
    """An array of what was learned that is another in two models.

    name : "weights of layer 1", "mean of the standardization"
    index : of the first number that differs; None where shapes or types do
    spelled : the two there, as hexadecimal and decimal; or shapes and types
    ulp : how far these are apart
    differing, size, largest : how many differ, of how many, and by how many ulp at most
    """

    name: str
    index: tuple[int, ...] | None
    spelled: tuple[str, str]
    ulp: int | None
    differing: int
    size: int
    largest: int | None


@dataclass(frozen=True)
class ModelComparison:
    """What differs between two model files; as text: a few lines.

    names : of the files
    settings : (name, of the first, of the second) of each setting that differs
    data : whether both were trained on the same data; None where one does not know
    arrays : those that differ, in the order in which they are computed
    numbers : how many numbers were compared
    """

    names: tuple[str, str]
    settings: tuple[tuple[str, str, str], ...]
    data: bool | None
    arrays: tuple[Difference, ...]
    numbers: int

    @property
    def parts(self) -> bool:
        """Whether what was learned differs."""
        return bool(self.arrays)

    def __str__(self) -> str:
        lines = []
        if self.arrays:
            first = self.arrays[0]
            lines.append(f"the models part, first in the {first.name}")
            if first.index is not None:
                lines.append(f"first at   {list(first.index)}")
            width = max(map(len, self.names))
            for name, spelled in zip(self.names, first.spelled, strict=True):
                lines.append(f"{show_text(name).ljust(width)}  {spelled}")
            if first.ulp is not None:
                lines.append(f"apart      {first.ulp:,} ulp")
            lines += [f"differing  {_count(difference)}" for difference in self.arrays]
        else:
            lines.append(f"the models do not part: {self.numbers:,} numbers are the same bits")
        lines += [
            f"setting    {name}: {first} and {second}" for name, first, second in self.settings
        ]
        if not self.settings:
            lines.append("settings   the same")
        known = {True: "the same", False: "OTHER ones", None: "one of the models does not know"}
        lines.append(f"data       {known[self.data]}")
        return "\n".join(lines)


def _count(difference: Difference) -> str:
    if difference.largest is None:
        return f"the {difference.name}: another shape or type"
    return (
        f"{difference.differing:,} of {difference.size:,} {difference.name}, by "
        f"{difference.largest:,} ulp at most"
    )


def explain_models(a: str | PathLike[str], b: str | PathLike[str]) -> ModelComparison:
    """Compare two model files: settings, data, and all that was learned, bit by bit.

    Raises OSError or ModelFileError.
    """
    first, second = (NeuralNetwork.load(path).to_model() for path in (a, b))
    return compare_models(first, second, (str(a), str(b)))


def compare_models(a: Model, b: Model, names: tuple[str, str]) -> ModelComparison:
    """Compare two models; see `explain_models`."""
    of_a, of_b = asdict(a.settings), asdict(b.settings)
    known = None not in (a.data_fingerprint, b.data_fingerprint)
    learned = _name_arrays(a), _name_arrays(b)
    arrays = tuple(
        _compare_arrays(name, learned[0].get(name), learned[1].get(name))
        for name in dict.fromkeys([*learned[0], *learned[1]])
        if digest(_as_tuple(learned[0].get(name))) != digest(_as_tuple(learned[1].get(name)))
    )
    return ModelComparison(
        names=names,
        settings=tuple(
            (name, repr(of_a[name]), repr(of_b[name])) for name in of_a if of_a[name] != of_b[name]
        ),
        data=a.data_fingerprint == b.data_fingerprint if known else None,
        arrays=arrays,
        numbers=sum(array.size for array in learned[0].values()),
    )


def _as_tuple(array: np.ndarray | None) -> tuple[np.ndarray, ...]:
    return () if array is None else (array,)


def _name_arrays(model: Model) -> dict[str, np.ndarray]:
    """Return what was learned by names, in the order in which it is computed with."""
    named: dict[str, np.ndarray] = {}
    if model.scaling is not None:
        named["mean of the standardization"], named["scale of the standardization"] = model.scaling
    for layer, weights in enumerate(model.weights):
        named[f"weights of layer {layer + 1}"] = weights
        if model.biases:
            named[f"biases of layer {layer + 1}"] = model.biases[layer]
    return named


def _compare_arrays(name: str, a: np.ndarray | None, b: np.ndarray | None) -> Difference:
    if a is None or b is None or (a.shape, a.dtype) != (b.shape, b.dtype):
        spelled = ("none" if x is None else f"{x.dtype}, {x.shape}" for x in (a, b))
        first, second = spelled
        return Difference(name, None, (first, second), None, 0, 0, None)
    a, b = normalize(a), normalize(b)
    ulps = count_ulps(a, b)
    at = np.unravel_index(int(np.argmax(ulps > 0)), a.shape)
    values = float(a[at]), float(b[at])
    return Difference(
        name=name,
        index=tuple(map(int, at)),
        spelled=(f"{values[0].hex()}  {values[0]!r}", f"{values[1].hex()}  {values[1]!r}"),
        ulp=int(ulps[at]),
        differing=int((ulps > 0).sum()),
        size=a.size,
        largest=int(ulps.max()),
    )
