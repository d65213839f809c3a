"""Two NumPy arrays of one shape and dtype: where their bits differ, and how far, in words."""

from dataclasses import dataclass, replace

import numpy as np

from neuron_xp.bits import count_ulps

NOT_COMPARABLE = np.iinfo("uint64").max
"""The distance from NaN to a number."""


@dataclass(frozen=True)
class Differences:
    """Where two arrays differ.

    actual, expected : of one shape and dtype
    differs : bool, of that shape
    distances : uint64, of that shape: ulps between floats, the larger one of the two parts of
        complex numbers; the difference of integers and bools
    """

    actual: np.ndarray
    expected: np.ndarray
    differs: np.ndarray
    distances: np.ndarray

    def keep_farther(self, ulp: int) -> "Differences":
        """Return those that are more than so many ulp apart."""
        return replace(self, differs=self.distances > np.uint64(min(ulp, NOT_COMPARABLE - 1)))

    def describe(self) -> str:
        """Say in a few lines where the first difference is, and the largest."""
        first = int(np.argmax(self.differs))
        largest = int(np.argmax(np.where(self.differs, self.distances, np.uint64(0))))
        text = f"first {self._show(first)}"
        if self.distances.flat[largest] > self.distances.flat[first]:
            text += f"\nlargest {self._show(largest)}"
        return text

    def _show(self, place: int) -> str:
        index = ", ".join(map(str, np.unravel_index(place, self.differs.shape)))
        return (
            f"at [{index}], {self._name_distance(place)}:\n"
            f"  actual    {show_number(self.actual.flat[place])}\n"
            f"  expected  {show_number(self.expected.flat[place])}"
        )

    def _name_distance(self, place: int) -> str:
        distance = int(self.distances.flat[place])
        if self.actual.dtype.kind not in "fc":
            return f"{distance} apart"
        if distance == NOT_COMPARABLE:
            return "NaN and a number"
        return f"{distance} ulp apart" if distance else "0 ulp apart, but other bits"


def find_differences(actual: np.ndarray, expected: np.ndarray, *, nan_bits: bool) -> Differences:
    """Compare the bits of two arrays of one shape and dtype.

    nan_bits : whether the bits of NaN count; otherwise any NaN equals any NaN
    """
    differs = _bits(actual) != _bits(expected)
    if actual.dtype.kind in "fc":
        a, b = _parts(actual), _parts(expected)
        if not nan_bits:
            differs = differs & ~(np.isnan(a) & np.isnan(b))
        distances = count_ulps(a, b).max(axis=-1)
    else:
        a, b = np.maximum(actual, expected), np.minimum(actual, expected)
        with np.errstate(over="ignore"):  # modulo 2^64 the difference is right: it is less
            distances = np.asarray(a.astype("uint64") - b.astype("uint64"))
    return Differences(
        actual=actual, expected=expected, differs=differs.any(axis=-1), distances=distances
    )


def show_number(number: np.generic) -> str:
    """Show a number in decimal, as short as its type allows, and in hexadecimal, exactly."""
    if isinstance(number, np.complexfloating):
        return f"{show_number(number.real)}, imaginary {show_number(number.imag)}"
    if isinstance(number, np.floating):
        return f"{number!s}  {_bits_of_nan(number) if np.isnan(number) else float(number).hex()}"
    return str(number) if isinstance(number, np.bool) else f"{number!s}  {int(number):#x}"


def _bits_of_nan(number: np.floating) -> str:
    return f"{int(number.view(f'u{number.itemsize}')):#x}"


def _parts(array: np.ndarray) -> np.ndarray:
    """Return the floats with one axis more: the number itself, or its real and imaginary part."""
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1)
    return np.expand_dims(array, -1)


def _bits(array: np.ndarray) -> np.ndarray:
    parts = _parts(array)
    return parts.view(f"u{parts.dtype.itemsize}")
