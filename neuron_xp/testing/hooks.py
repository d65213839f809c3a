"""The hook of the plugin, which a project may have in its conftest.py."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # it is read for every project, whatever that has
    from neuron_xp.testing.places import Place


@pytest.hookspec(firstresult=True)
def pytest_neuron_xp_places(
    metafunc: pytest.Metafunc, places: "list[Place]"
) -> "list[Place] | None":
    """Return the places that a test runs on: fewer than these, or more, made by `Place.vary`.

    metafunc : the test, as in `pytest_generate_tests`
    places : all that tests run on
    """
