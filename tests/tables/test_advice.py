"""What helps with cells that are no numbers, and with files that are no tables."""

import pytest
from table_files import refused, save

from neuron_xp.tables.advice import advise_kind, advise_number
from neuron_xp.tables.cells import Reading, number_error, parse_number
from neuron_xp.tables.encode import read_training_table

THOUSANDS = "; thousands separators are not read: write "
DATES = (
    "; dates are not read: turn them into numbers in the table (days, say), or leave the column "
    "out: give features=[...]"
)
OR_CATEGORIES = ", or, if the column holds categories, give categories=['size']"
ALONE = "; write the number alone: "
MISSING = "; write NA where a cell is missing" + OR_CATEGORIES
CELLS = {
    "1,200.50": THOUSANDS + "1200.50",
    "-1,234,567": THOUSANDS + "-1234567",
    "1.200,50": THOUSANDS + "1200,50, and give decimal=','",
    "1 200": THOUSANDS + "1200",
    "1'200.5": THOUSANDS + "1200.5",
    "1,200": "; for decimal commas give decimal=','; thousands separators are not read: write 1200",
    "1,5": "; for decimal commas give decimal=','",
    "1,2,3": "; if the column holds categories give categories=['size']",
    "red": "; if the column holds categories give categories=['size']",
    "A1": "; if the column holds categories give categories=['size']",
    **dict.fromkeys(("2024-12-31", "31.12.2024", "12/31/2024", "2024-12", "1/2/24"), DATES),
    **dict.fromkeys(("2024-12-31T10:00:00Z", "31.12.2024 10:30", "10:30", "1:05:09 pm"), DATES),
    "12%": ALONE + "12",
    "$1,200.50": ALONE + "1200.50",
    "€ 5": ALONE + "5",
    "USD 5": ALONE + "5",
    "5 kg": ALONE + "5" + OR_CATEGORIES,
    "0x10": "; hexadecimals are not read: write 16",
    "1_000": "; underscores are not read: write 1000",
    "\u22125": "; write the minus as on the keyboard: -5",
    **dict.fromkeys(("true", "No", "F"), "; write 1 or 0 for it" + OR_CATEGORIES),
    **dict.fromkeys(("?", "-", "n/a", "#N/A", "None"), MISSING),
}


@pytest.mark.parametrize(("cell", "advice"), CELLS.items())
def test_a_cell_gets_what_helps(cell, advice):
    error = number_error("data.csv", cell, ".", "size")
    assert str(error) == f"data.csv: {cell!r} is not a number{advice}"


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("1.200,50", THOUSANDS + "1200,50"),
        ("1,200.50", THOUSANDS + "1200.50, and give decimal='.'"),
        ("1.200", "; for decimal points give decimal='.'; thousands separators are not read: wri"),
        ("1.5", "; for decimal points give decimal='.'"),
        ("31.12.2024", DATES),
    ],
)
def test_where_decimal_commas_are_said(cell, advice):
    assert advise_number(cell, ",", "size").startswith(advice)


def test_a_target_has_no_advice_for_features():
    assert advise_number("2024-12-31", ".") == DATES.partition(", or leave")[0]
    assert advise_number("yes", ".") == "; write 1 or 0 for it"
    assert advise_number("red", ".") == ""


def test_what_is_advised_can_be_read():
    for cell, advice in CELLS.items():
        _, said, number = advice.partition(": write ")
        plain, _, decimal = number.partition(", and give decimal=")
        if said:
            assert parse_number(plain, decimal.strip("'") or "."), cell


def test_a_message_stays_short_whatever_the_cell():
    for cell in ("0x" + "f" * 10**5, "1," + "000," * 10**5 + "5", "1" * 10**5 + "%", "-" * 10**6):
        error = str(number_error("data.csv, line 2, column 'size'", cell, ".", "size"))
        assert error.startswith("data.csv, line 2, column 'size': ")
        assert len(error) <= 500


KINDS = {
    "data.xlsx": "save the sheet as CSV in the spreadsheet program",
    "data.XLS": "save the sheet as CSV in the spreadsheet program",
    "data.ods": "save the sheet as CSV in the spreadsheet program",
    "data.json": "convert it by pandas: read_json('data.json').to_csv('data.csv', index=False)",
    "a b.jsonl": "convert it by pandas: read_json('a b.jsonl', lines=True).to_csv('a b.csv', inde",
    "data.feather": "convert it by pandas: read_feather('data.feather').to_csv('data.csv', index",
    "data.arrow": "convert it by pandas: read_feather('data.arrow').to_csv('data.csv', index=Fal",
    "data.h5": "convert it by pandas: read_hdf('data.h5').to_csv('data.csv', index=False)",
    "data.pkl": "convert it by pandas, which runs what is in it: read_pickle('data.pkl').to_csv(",
    "a b.db": "save one of its tables: sqlite3 -csv -header 'a b.db' 'select * from NAME' > 'a b.",
    "data.txt": "rename it to data.csv, and give delimiter='tab', say, if no commas are in its li",
    "data.dat": "rename it to data.csv, and give delimiter='tab', say, if no commas are in its li",
    "data": "rename it to data.csv, and give delimiter='tab', say, if no commas are in its lines",
    "data.7z.zip": "unpack it first",
    "data.zip": "unpack it first",
    "m.safetensors": "that is the name of a model; give a table",
}


@pytest.mark.parametrize(("name", "advice"), KINDS.items())
def test_a_file_of_another_kind_gets_what_converts_it(tmp_path, name, advice):
    refused(f"{name}: unknown kind of table ", save(tmp_path, "a,kind\n", name))
    refused(f"; {advice}", save(tmp_path, "a,kind\n", name))


def test_nothing_is_advised_on_what_nobody_knows():
    assert advise_kind("data.py") is None


def test_names_that_are_given_as_one(tmp_path):
    path = save(tmp_path, "a,b,c d,kind\n1,2,3,x\n")
    for given in ("a,b", "a b", "a; b"):
        message = f"data.csv: no feature {given!r}; give features=['a', 'b']"
        refused(message, path, Reading("kind", features=[given]))
    message = "data.csv: no category 'a,b'; give categories=['a', 'b']"
    refused(message, path, Reading("kind", categories=["a,b"]))
    refused("no feature 'a,x'; choose from a, b, c d", path, Reading("kind", features=["a,x"]))


def test_a_first_line_that_is_a_row(tmp_path):
    path = save(tmp_path, "1.5,2,x\n2,3,y\n")
    message = "data.csv: no target 'kind'; if the first line is a row give header=False; choose f"
    refused(message, path)
    refused("no target 'kind'; choose from 0, 1, 2", save(tmp_path, "0,1,2\n1,2,x\n"))


def test_a_column_may_be_called_as_a_number(tmp_path):
    """A number from 0 is a place; what is no place may be a name."""
    path = save(tmp_path, "x,2024\n1,a\n2,b\n")
    assert read_training_table(path, Reading(target=2024)).columns.target == "2024"
    refused("no column 2025; the columns are numbered 0 to 1", path, Reading(target=2025))
