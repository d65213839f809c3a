"""Data frames of pandas, polars, pyarrow and their like as arrays: exactly, or refused."""

from typing import Any, NamedTuple

import numpy as np

from neuron_xp.errors import LEARN_CLASSES

FRAMES = {"cudf", "modin", "pandas", "polars", "pyarrow"}
"""Libraries of data frames, by the names of their packages."""
LARGEST_WHOLE = 2**53
"""From here on float64 cannot tell all integers apart."""
CURES = {
    "pandas": ("dropna()", "fillna(VALUE)"),
    "polars": ("drop_nulls()", "fill_null(VALUE)"),
    "pyarrow": ("drop_null()", "fill_null(VALUE)"),
}
"""The methods that leave missing values out, and that fill them, in each library."""


class Frame(NamedTuple):
    """A data frame, or a series, as an array.

    values : (rows, columns), or (rows,) for a series: float64; float32 where every column is
    names : of the columns, where all of them are text; else None
    """

    values: np.ndarray
    names: tuple[str, ...] | None


def is_frame(value: object) -> bool:
    """Tell whether the value is a data frame or a series, without importing a library."""
    if type(value) in (np.ndarray, list, tuple):
        return False
    classes = type(value).__mro__
    return any(cls.__module__.partition(".")[0] in FRAMES for cls in classes) or (
        hasattr(value, "__arrow_c_stream__") and not hasattr(value, "__array_namespace__")
    )


def read_frame(name: str, value: Any) -> Frame:
    """Return numbers and booleans of a data frame, or of a series, as they are.

    name : what the frame is called in messages, such as "inputs"

    Raises TypeError for a column of text, categories, dates or other objects, and ValueError for
    a missing value, for integers of 2^53 or more, and for two columns of one name.
    """
    frame = _open(name, value)
    if hasattr(frame, "iter_columns"):
        columns = list(frame.iter_columns())
        arrays = [_read_column(name, f"column {series.name!r}", series) for series in columns]
        if not arrays:
            raise ValueError(f"{name} are empty: a data frame without columns")
        return Frame(_join(arrays), find_names(frame.columns))
    return Frame(_read_column(name, "the series", frame), None)


def find_names(columns: Any) -> tuple[str, ...] | None:
    """Return the names of columns, where all of them are text; else None."""
    names = tuple(columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def check_names(
    name: str, found: tuple[str, ...] | None, learned: tuple[str, ...] | None, says: str
) -> None:
    """Raise ValueError unless a frame has the columns that were learned from, in their order.

    Nothing is checked where one of the two has no names.
    says : how the names that were learned are given, such as "network.feature_names"
    """
    if found is None or learned is None or found == learned:
        return
    missing = [column for column in learned if column not in found]
    extra = [column for column in found if column not in learned]
    cure = f"give {name}[list({says})]"
    if missing:
        raise ValueError(
            f"{name} have no column {_list(missing)}, which the network has learned from"
        )
    if extra:
        raise ValueError(f"{name} have {_list(extra)}, which the network does not know; {cure}")
    raise ValueError(f"{name} have the columns in another order than was learned; {cure}")


def _list(names: Any) -> str:
    some = list(names)
    return ", ".join(map(repr, some[:5])) + (", ..." if len(some) > 5 else "")


def _open(name: str, value: Any) -> Any:
    """Return the value as narwhals has it."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    if hasattr(value, "collect") and not hasattr(value, "__arrow_c_stream__"):
        raise TypeError(f"{name} are lazy ({type(value).__name__}); give {name}.collect()")
    try:
        return nw.from_native(value, eager_only=True, allow_series=True)
    except DuplicateError as error:
        raise ValueError(f"{name} have two columns of one name; rename one") from error
    except TypeError as error:
        kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
        if not hasattr(value, "__arrow_c_stream__"):
            raise TypeError(
                f"{name} must be lists, an array or a data frame; got {kind}; give "
                f"numpy.asarray({name})"
            ) from error
    try:
        return nw.DataFrame.from_arrow(value, backend="pyarrow")
    except ImportError as error:
        raise ImportError(
            f"{name} are Arrow data; to read them type: pip install pyarrow"
        ) from error


def _read_column(name: str, which: str, series: Any) -> np.ndarray:
    kind = series.dtype
    library = str(series.implementation.value)
    if not (kind.is_numeric() or str(kind) == "Boolean") or kind.is_decimal():
        raise TypeError(f"{name}: {which} holds {_tell_kind(name, series)}")
    missing = series.is_null()
    if series.null_count():
        row = int(np.argmax(missing.to_numpy()))
        drop, fill = CURES.get(library, CURES["pandas"])
        count = int(series.null_count())
        values = "value" if count == 1 else "values"
        raise ValueError(
            f"{name}: {which} has {count} missing {values}, the first in row {row}; "
            f"leave such rows out, {name}.{drop}, or fill them, {name}.{fill}"
        )
    array: np.ndarray = series.to_numpy()
    if kind.is_integer() and array.size and _find_largest(array) >= LARGEST_WHOLE:
        raise ValueError(
            f"{name}: {which} holds integers of 2^53 or more, which float64 cannot tell apart; "
            "scale them, give them as floats, or leave the column out"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array)))
        raise ValueError(
            f"{name}: {which} is {float(array[row])!r} in row {row}; {name} must be finite numbers"
        )
    return array


def _find_largest(integers: np.ndarray) -> int:
    """Return the largest magnitude, which an integer of their own type may not hold."""
    return max(-int(integers.min()), int(integers.max()))


def _tell_kind(name: str, series: Any) -> str:
    """Say what a column holds that is no number, and what to do about it."""
    kind = str(series.dtype)
    if series.dtype.is_temporal():
        return f"times ({kind}); give a number, such as days since a date, or leave it out"
    if series.dtype.is_decimal():
        return f"decimals ({kind}), which float64 may round; cast the column to float64"
    if kind in ("Object", "Unknown") or series.dtype.is_nested():
        return f"objects ({kind}); cast the column to float64, or leave it out"
    words = "categories" if kind.startswith(("Categorical", "Enum")) else "text"
    some = next((word for word in series.head(1000).to_list() if word is not None), None)
    example = "" if some is None else f", such as {str(some)[:40]!r}"
    if name == "targets":
        return f"{words}{example}; {LEARN_CLASSES}"
    return (
        f"{words}{example}; give a column of 0 and 1 for each word, as pandas.get_dummies or "
        "scikit-learn's OneHotEncoder do, or leave it out"
    )


def _join(arrays: list[np.ndarray]) -> np.ndarray:
    """Return columns side by side, in rows that follow each other in memory."""
    is_single = all(array.dtype == np.float32 for array in arrays)
    joined = np.empty((len(arrays[0]), len(arrays)), dtype="float32" if is_single else "float64")
    for number, array in enumerate(arrays):
        joined[:, number] = array
    return joined
