"""Numbers of every kind in text, to the bit as Python's float reads them."""

from decimal import Context, Decimal

import numpy as np
import pytest
from mutations import count_cases
from table_files import at_most, save

from neuron_xp.tables.cells import Reading
from neuron_xp.tables.columns import Columns
from neuron_xp.tables.encode import read_chunks, read_training_table

COUNT = count_cases(default=60_000, large=1_000_000)
EXACTLY = Context(prec=1100)
SMALLEST_NORMAL, LARGEST = 2**52, 2**63 - 2**52
"""As the bits of an integer; below the first are the subnormal numbers."""


def spell_numbers(count):
    """Yield lists of spelled numbers: of every size, or one that most readers get wrong."""
    generator, some = np.random.default_rng(0), count // 10
    for low, high in ((0, LARGEST), (0, SMALLEST_NORMAL), (LARGEST - 2**54, LARGEST)):
        numbers = generator.integers(low, high, some).view("f8").tolist()
        yield [f"{-x:.17g}" for x in numbers]
        yield [repr(x) for x in numbers]
    yield [str(x) for x in generator.integers(-(2**53), 2**53 + 1, some).tolist()]
    yield [f"{x:.2f}" for x in generator.normal(0, 100, some).tolist()]
    near = generator.lognormal(0, 5, some)
    halves = [
        EXACTLY.divide(EXACTLY.add(Decimal(x), Decimal(y)), 2)
        for x, y in zip(near.tolist(), np.nextafter(near, np.inf).tolist(), strict=True)
    ]
    yield [f"{x:.30g}" for x in halves]
    yield [f"{x:f}{end}" for x in halves[: some // 2] for end in ("", "00001")]
    yield ["-0", "-0.0", "-.0e5", "2.4703282292062327e-324", "2.4703282292062328e-324"]


@pytest.mark.parametrize("decimal", [".", ","])
def test_numbers_are_read_as_python_reads_them(tmp_path, decimal):
    cells = [cell for some in spell_numbers(COUNT) for cell in some]
    expected = np.asarray([float(cell) for cell in cells])
    rows = "".join(f"{cell.replace('.', decimal)};{i % 2}\n" for i, cell in enumerate(cells))
    path = save(tmp_path, f"x;y\n{rows}")
    reading = Reading("y", delimiter=";", decimal=decimal)
    table = read_training_table(path, reading)
    check_bits(table.inputs, expected)
    columns = Columns(("x",), "y", None, ())
    limited = read_chunks([path], reading, columns, targets=True, rows=at_most(7_000))
    check_bits(np.concatenate([chunk.inputs for chunk in limited]), expected)


def check_bits(inputs, expected):
    other = np.flatnonzero(inputs[:, 0].view("u8") != expected.view("u8"))
    assert other.tolist() == []
