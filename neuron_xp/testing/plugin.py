"""The plugin of pytest: a test that asks for `backend` or `xp` runs on every library and device.

Nothing here is imported, shown or timed for a test that asks for neither.
"""

import os
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from neuron_xp.testing import hooks
from neuron_xp.testing.table import Recorder

if TYPE_CHECKING:  # array libraries take a while, and are imported for a test that needs them
    from neuron_xp.backends.backend import Backend
    from neuron_xp.neuron.types import Namespace
    from neuron_xp.testing.places import Place

OPTION, VARIABLE = "--backends", "NEURON_XP_TEST_BACKENDS"
HELP = (
    "run on these only, such as numpy,torch:cuda:0, and fail where one cannot be used; 'others' "
    f"stands for whatever else can (default: {VARIABLE}, or all that can)"
)
MARKS = {"skip_backends": "does not run", "xfail_backends": "must fail"}
RECORDER = pytest.StashKey[Recorder]()
NAMES = pytest.StashKey[Collection[str]]()
PLACES = pytest.StashKey["Collection[Place]"]()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let a project choose what its tests run on, and add to it."""
    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Add the option if it is used, and after the conftests, which may have their own."""
    used = [number for number, word in enumerate(args) if word.partition("=")[0] == OPTION]
    folders = early_config.known_args_namespace.file_or_dir
    for number in used:  # the next word is taken for a folder as yet, whose conftest is wanted
        for word in args[number + 1 : number + 2]:
            if args[number] == OPTION and word in folders and not Path(word).exists():
                folders.remove(word)
    yield
    if (used or early_config.known_args_namespace.help) and _is_free(parser):
        group = parser.getgroup("neuron_xp", "array libraries")
        group.addoption(OPTION, dest="neuron_xp_backends", metavar="NAMES", help=HELP)


def _is_free(parser: pytest.Parser) -> bool:
    try:
        _, unknown = parser.parse_known_and_unknown_args([OPTION])
    except pytest.UsageError:  # of one that wants a value
        return False
    return bool(unknown)


def pytest_configure(config: pytest.Config) -> None:
    """Read the names of backends, and record how tests end."""
    for mark, words in MARKS.items():
        text = f"{mark}(*names, reason): on these libraries or devices the test {words}"
        config.addinivalue_line("markers", text)
    option = getattr(config.option, "neuron_xp_backends", None)
    source, text = (VARIABLE, os.environ.get(VARIABLE, "")) if option is None else (OPTION, option)
    names = [name.strip() for name in text.split(",") if name.strip()]
    config.stash[NAMES] = names
    if names or option is not None:
        from neuron_xp.testing.places import OTHERS, find_unknown

        if not names:
            raise pytest.UsageError(f"{OPTION} names no backend; type for example {OPTION}=numpy")
        if unknown := find_unknown(names, OTHERS):
            raise pytest.UsageError(f"{source} names the {unknown}")
        names = [name for name in names if name != OTHERS]
    recorder = Recorder(names, strict=option is not None)
    config.stash[RECORDER] = recorder
    config.pluginmanager.register(recorder, "neuron_xp_recorder")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that needs a place on each of them."""
    if "neuron_xp_place" not in metafunc.fixturenames:  # a project may have an `xp` of its own
        return
    from neuron_xp.testing.places import list_places

    config = metafunc.config
    if PLACES not in config.stash:
        found = list_places(config.stash[NAMES])
        config.stash[PLACES] = found
        config.stash[RECORDER].add_places(found)
    places = [place for place in config.stash[PLACES] if place.tested]
    chosen = config.hook.pytest_neuron_xp_places(metafunc=metafunc, places=places)
    if chosen is not None:
        places = chosen
        config.stash[RECORDER].add_places(places)
    marks = list(metafunc.definition.iter_markers())
    parameters = [pytest.param(place, marks=list(_read_marks(marks, place))) for place in places]
    metafunc.parametrize("neuron_xp_place", parameters, indirect=True, ids=map(str, places))


def _read_marks(marks: list[pytest.Mark], place: "Place") -> Iterator[pytest.MarkDecorator]:
    """Yield what a test's marks mean on this place."""
    from neuron_xp.testing.places import find_unknown

    for mark in marks:
        if mark.name not in MARKS:
            continue
        reason = mark.kwargs.get("reason")
        if not mark.args or not reason or len(mark.kwargs) > 1:
            words = f'such as @pytest.mark.{mark.name}("torch", reason="why")'
            pytest.fail(f"{mark.name} needs names and a reason, {words}", pytrace=False)
        if unknown := find_unknown(mark.args):
            pytest.fail(f"{mark.name} names the {unknown}", pytrace=False)
        if not any(place.matches(name) for name in mark.args):
            continue
        if mark.name == "skip_backends":
            yield pytest.mark.skip(reason=reason)
        elif place.backend is not None:  # that one is missing is no failure that was expected
            yield pytest.mark.xfail(reason=reason, strict=True)


@pytest.fixture
def neuron_xp_place(request: pytest.FixtureRequest) -> "Place":
    """The place that the test runs on."""
    place: Place = request.param
    return place


@pytest.fixture
def backend(neuron_xp_place: "Place") -> "Iterator[Backend]":
    """Each usable array library on each of its devices, which is the default one meanwhile."""
    from neuron_xp.testing.assertions import expect_backend

    if neuron_xp_place.backend is None:
        words = f"backend {neuron_xp_place} cannot be used: {neuron_xp_place.reason}"
        if neuron_xp_place.named:
            pytest.fail(f"{words} (it is named)", pytrace=False)
        pytest.skip(words)
    with neuron_xp_place.make_default(), expect_backend(neuron_xp_place.backend):
        yield neuron_xp_place.backend


@pytest.fixture
def xp(backend: "Backend") -> "Namespace":
    """The Array API namespace of `backend`."""
    return backend.xp


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the place in the report, with which it gets to where the table is written."""
    report = yield
    callspec = getattr(item, "callspec", None)  # of a test with parameters
    if callspec is not None and "neuron_xp_place" in callspec.params:
        vars(report)["neuron_xp_place"] = str(callspec.params["neuron_xp_place"])
    return report
