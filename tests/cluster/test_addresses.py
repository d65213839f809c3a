"""Addresses that fsspec cannot read: one line, with the address and what to install."""

import pytest

from neuron_xp.cluster.addresses import explain_address
from neuron_xp.cluster.tables import spread_table
from neuron_xp.tables.cells import Reading


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("s3://b/x.csv", ImportError("Install s3fs to access S3"),
         "s3://b/x.csv: Install s3fs to access S3; type: pip install 'fsspec[s3]'"),
        ("https://h/x.csv", ImportError("needs aiohttp"),
         "https://h/x.csv: needs aiohttp; type: pip install 'fsspec[http]'"),
        ("http://h/x.csv", ValueError("no"), "http://h/x.csv: no"),
        ("ftp://h/x.csv", TimeoutError("no answer"), "ftp://h/x.csv: no answer"),
    ],
)  # fmt: skip
def test_what_fsspec_raises_becomes_a_line(address, error, said):
    kind = ImportError if isinstance(error, ImportError) else OSError
    with pytest.raises(kind) as raised, explain_address(address):
        raise error
    assert str(raised.value) == said


def test_a_table_at_an_unknown_address():
    with pytest.raises(OSError, match=r"^nothing://x\.csv: Protocol not known"):
        spread_table("nothing://x.csv", Reading("y"))
