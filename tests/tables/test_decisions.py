"""What the text of a cell is read as, in a column of numbers and in one of categories."""

import pytest
from table_files import ON_KIND, refused, save

from neuron_xp.tables.cells import Reading
from neuron_xp.tables.encode import read_training_table

ON_WORDS = Reading("kind", categories=["x"])
NAN = "missing cell"
DECIMAL_COMMAS = "for decimal commas give decimal=','"
NO_NUMBER, INFINITE, ROUNDED = "is not a number", "numbers must be finite", "beyond 2^53"
NOT_UTF8, A_NUL = "is not UTF-8", "holds a NUL byte"

CELLS = [  # the text; the number, or the words that refuse it; the category, or such words
    ("1", 1.0, "1"),
    ("  1\t", 1.0, "1"),
    ('" 1 "', 1.0, "1"),
    ('"1"', 1.0, "1"),
    ("+1", 1.0, "+1"),
    ("-0", -0.0, "-0"),
    ("007", 7.0, "007"),
    (".5", 0.5, ".5"),
    ("5.", 5.0, "5."),
    ("1E5", 1e5, "1E5"),
    ("1e+5", 1e5, "1e+5"),
    ("1e-400", 0.0, "1e-400"),
    ("4.9e-324", 5e-324, "4.9e-324"),
    ("1d5", NO_NUMBER, "1d5"),
    ("1e", NO_NUMBER, "1e"),
    ("- 1", NO_NUMBER, "- 1"),
    ("--1", NO_NUMBER, "--1"),
    ("1 2", NO_NUMBER, "1 2"),
    ("0x10", NO_NUMBER, "0x10"),
    ("0x1p3", NO_NUMBER, "0x1p3"),
    ("1_000", NO_NUMBER, "1_000"),
    ('"1,200.50"', NO_NUMBER, "1,200.50"),
    ('"1,5"', DECIMAL_COMMAS, "1,5"),
    ("1e999", INFINITE, "1e999"),
    ("-1e999", INFINITE, "-1e999"),
    ("inf", INFINITE, "inf"),
    ("-inf", INFINITE, "-inf"),
    ("Infinity", INFINITE, "Infinity"),
    ("NAN", INFINITE, "NAN"),
    ("-nan", INFINITE, "-nan"),
    ("nan", NAN, NAN),
    ("NaN", NAN, NAN),
    ("NA", NAN, NAN),
    (" NA ", NAN, NAN),
    ("\tNA", NAN, NAN),
    ("null", NAN, NAN),
    ("", NAN, NAN),
    ("   ", NAN, NAN),
    ('""', NAN, NAN),
    ('"NA"', NAN, NAN),
    ("None", NO_NUMBER, "None"),
    ("N/A", NO_NUMBER, "N/A"),
    ("?", NO_NUMBER, "?"),
    ("true", NO_NUMBER, "true"),
    ("FALSE", NO_NUMBER, "FALSE"),
    ("2024-01-31", NO_NUMBER, "2024-01-31"),
    ("12:30", NO_NUMBER, "12:30"),
    ("1%", NO_NUMBER, "1%"),
    ("\xa01", NO_NUMBER, "1"),
    ("\uff11\uff12", NO_NUMBER, "\uff11\uff12"),
    ("\u0661", NO_NUMBER, "\u0661"),
    ("\u22121", NO_NUMBER, "\u22121"),
    ("9007199254740991", 9007199254740991.0, "9007199254740991"),
    ("9007199254740992", 9007199254740992.0, "9007199254740992"),
    ("9007199254740993", ROUNDED, "9007199254740993"),
    ("-9007199254740993", ROUNDED, "-9007199254740993"),
    ("+9007199254740993", ROUNDED, "+9007199254740993"),
    (" 9007199254740993 ", ROUNDED, "9007199254740993"),
    ("9007199254740994", 9007199254740994.0, "9007199254740994"),
    ("9007199254740993.0", 9007199254740992.0, "9007199254740993.0"),
    ("9007199254740993e0", 9007199254740992.0, "9007199254740993e0"),
    ("1" + 22 * "0", 1e22, "1" + 22 * "0"),
    ("1\0", A_NUL, A_NUL),
    (b"\xff", NOT_UTF8, NOT_UTF8),
    (b"\xed\xa0\x80", NOT_UTF8, NOT_UTF8),
    ('a"b', NO_NUMBER, 'a"b'),
    ('"a""b"', NO_NUMBER, 'a"b'),
    ('"a,b"', NO_NUMBER, "a,b"),
    ('"a\nb"', NO_NUMBER, "a\nb"),
    ('"a\r\nb"', NO_NUMBER, "a\r\nb"),
]  # fmt: skip
REFUSALS = {NO_NUMBER, DECIMAL_COMMAS, INFINITE, ROUNDED, NOT_UTF8, A_NUL}


def save_cell(folder, cell):
    """A file with this cell in its first row."""
    content = cell if isinstance(cell, bytes) else cell.encode()
    return save(folder, b"x,kind\n" + content + b",a\n2,b\n3,a\n")


@pytest.mark.parametrize(("cell", "number", "word"), CELLS, ids=repr)
def test_a_cell(tmp_path, cell, number, word):
    path = save_cell(tmp_path, cell)
    check(path, number, ON_KIND, lambda table: table.inputs[0, 0])
    check(path, word, ON_WORDS, name_category)


def check(path, expected, reading, take):
    """The first row is as expected, or is refused, or can be left out for its missing cell."""
    if expected == NAN:
        refused(f"column 'x': {NAN}", path, reading)
        left = read_training_table(path, Reading("kind", categories=reading.categories,
                                                 drop_missing=True))  # fmt: skip
        assert (left.dropped, len(left.inputs)) == (1, 2)
    elif expected in REFUSALS:
        refused(expected, path, reading)
    else:
        found = take(read_training_table(path, reading))
        assert (found, str(found)) == (expected, str(expected))  # -0.0 is not 0.0


def name_category(table):
    """The word of the first row."""
    ((_, words),) = table.columns.categories
    return words[int(table.inputs[0].argmax())]


HEAD = "x,kind\n1,a\n"
UNUSED = "x,kind,z\n1,a,q\n"

READ = [
    ("\n\nx,kind\n\n1,a\n\n\n2,b\n\n", ON_KIND),
    ("x,kind\r1,a\r2,b\r", ON_KIND),
    ("x,kind\r\n1,a\r\n\r\n2,b\r\n", ON_KIND),
    ("x,kind\n1,a\r2,b\r\n", ON_KIND),
    ("x,kind\n1,a\n2,b", ON_KIND),
    ("\ufeffx,kind\n1,a\n2,b\n", ON_KIND),
    (' x ,"kind "\n1,a\n2,b\n', ON_KIND),
    ('x,"ki\nnd"\n1,a\n2,b\n', Reading("ki\nnd")),
    ("x;kind\n1,0;a\n+2;b\n", Reading("kind", delimiter=";", decimal=",")),
    ("x kind\n1 a\n2 b\n", Reading("kind", delimiter=" ")),
    (UNUSED + '2,b,"""1,5""\n"\n', Reading("kind", features=["x"])),
    (UNUSED + "2,b,\n", Reading("kind", features=["x"])),
    (HEAD + "2,b\nNA,b\n7,\n8, null \n", Reading("kind", drop_missing=True)),
]


@pytest.mark.parametrize(("text", "reading"), READ)
def test_a_text_that_is_read(tmp_path, text, reading):
    table = read_training_table(save(tmp_path, text), reading)
    assert table.inputs.tolist() == [[1.0], [2.0]]
    assert table.columns.classes == ("a", "b")
    assert table.targets.tolist() == [[0.0], [1.0]]


REFUSED = [
    (HEAD + '2,b\n3,"a', ON_KIND, "is a quote left open?"),
    (HEAD + '2,"a"b\n', ON_KIND, "is a quote left open?"),
    ("x,kind\n\ufeff1,a\n2,b\n", ON_KIND, "line 2, column 'x': '\\ufeff1' is not a number"),
    ("x,kind\n\v1,a\n2,b\n", ON_KIND, "line 2, column 'x': '\\x0b1' is not a number"),
    (HEAD + '"2\n",b\n', ON_KIND, "line 4, column 'x': '2\\n' is not a number"),
    ("", ON_KIND, "is empty"),
    ("\ufeff\n\n", ON_KIND, "is empty"),
    ("x,kind\n\n", ON_KIND, "has columns but no rows"),
    ("x,x,kind\n1,1,a\n", ON_KIND, "line 1: two columns are named 'x'"),
    (HEAD + "2\n", ON_KIND, "line 3: 1 cells; expected 2"),
    (HEAD + "2,b,c\n", ON_KIND, "line 3: 3 cells; expected 2"),
    (HEAD + "2,b,\n", ON_KIND, "line 3: 3 cells; expected 2"),
    (HEAD + "  \n", ON_KIND, "line 3: 1 cells; expected 2"),
    (HEAD + '\n2,"b\n3,a\n4,b\n', ON_KIND, "line 6: unexpected end of data"),
    (HEAD + '"2,b\n3,a\n4,b\n', ON_KIND, "is a quote left open?"),
    (UNUSED + '2,b,"q\n3,a,q\n', Reading("kind", features=["x"]), "is a quote left open?"),
    (HEAD + 'NA,"a\n4,b\n', Reading("kind", drop_missing=True), "is a quote left open?"),
    (UNUSED.encode() + b"2,b,\xff\n", Reading("kind", features=["x"]), "line 3: is not UTF-8"),
    (b"x\xff,kind\n1,a\n", ON_KIND, "line 1: is not UTF-8"),
    (HEAD.encode("utf-16"), ON_KIND, "line 1: holds a NUL byte"),
    (UNUSED + "2,b,\0\n", Reading("kind", features=["x"]), "line 3: holds a NUL byte"),
    (HEAD + "\n\n2,b\n?,b\n", ON_KIND, "line 6, column 'x': '?' is not a number"),
    (HEAD + '2,"b\nc"\n?,b\n', ON_KIND, "line 5, column 'x': '?' is not a number"),
    ("x,kind\r1,a\r\r?,b\r", ON_KIND, "line 4, column 'x': '?' is not a number"),
    ("x;kind\n1.5;a\n", Reading("kind", delimiter=";", decimal=","), "'1.5' is not a number"),
]


@pytest.mark.parametrize(("text", "reading", "message"), REFUSED)
def test_a_text_that_is_refused(tmp_path, text, reading, message):
    refused(message, save(tmp_path, text), reading)
