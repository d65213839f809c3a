"""Files with tables for the tests, and how a fault in one must be said."""

import re

import pytest

from neuron_xp.tables import Reading, TableError, read_training_table

TEXT = "radius,area,kind\n1.5,2,benign\n-3e-2,4,malignant\n"
ON_KIND = Reading(target="kind")


def save(folder, content, name="data.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(message, path, reading=ON_KIND, read=read_training_table, **more):
    with pytest.raises(TableError, match=re.escape(message)) as raised:
        read(path, reading, **more)
    assert str(raised.value).startswith(path.name)
    assert "\n" not in str(raised.value)
