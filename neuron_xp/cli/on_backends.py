"""The commands on array libraries: demo, backends, matrix, explain."""

import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import click

import neuron_xp
from neuron_xp import checks
from neuron_xp.article import ARTICLE_QUESTION
from neuron_xp.backends.libraries import open_backend
from neuron_xp.backends.probe.status import describe_kernels, list_statuses
from neuron_xp.cli.files import DATA, read_column
from neuron_xp.cli.options import LayerSizes
from neuron_xp.cli.output import (
    FORCE,
    JSON,
    Outcome,
    check_json,
    format_table,
    list_with_bar,
    write_json,
)
from neuron_xp.model.settings import ARITHMETICS
from neuron_xp.workflows import matrix
from neuron_xp.workflows.cases import CASES, published


@click.command()
@click.option("--backend", default="numpy", show_default=True, help="The array library.")
@click.option("--device", help="As the library spells it.  [default: the library's own]")
@click.option("--arithmetic", default=ARITHMETICS[0], show_default=True, help="Or native.")
@click.pass_obj
def demo(make_bar: Any, backend: str, device: str | None, arithmetic: str) -> Outcome:
    """The article's program: a neuron learns from four examples."""
    checks.check_choice("arithmetic", arithmetic, ARITHMETICS)
    opened = open_backend(backend, device)
    start = neuron_xp.train(backend=opened, arithmetic=arithmetic, iterations=0)
    started = time.perf_counter()
    with make_bar() as on_progress:
        network = neuron_xp.train(backend=opened, arithmetic=arithmetic, on_progress=on_progress)
    seconds = time.perf_counter() - started
    answer = _on_host(network, network.think(ARTICLE_QUESTION))
    fingerprint = network.fingerprint()
    known = ", as published" if fingerprint == published()["article"] else ""
    return Outcome(
        f"Random starting synaptic weights:\n{_on_host(start, start.weights[0])}\n\n"
        f"New synaptic weights after training:\n{_on_host(network, network.weights[0])}\n\n"
        f"Considering new situation {list(ARTICLE_QUESTION)} -> ?:\n{answer}\n\n"
        f"{opened}, {arithmetic} arithmetic: 10,000 iterations in {seconds:.2f} seconds\n"
        f"fingerprint {fingerprint}{known}"
    )


def _on_host(network: neuron_xp.NeuralNetwork, array: Any) -> Any:
    with network.backend.context():
        return network.backend.to_host(array)


@click.command("backends")
@click.option("--probe", is_flag=True, help="Show all that each must keep, for a bug report.")
@click.option("--backend", help="Probe this one only.")
def list_backends(probe: bool, backend: str | None) -> Outcome:
    """The array libraries: version, device, usable or why not; and the kernels.

    With --probe, status 0: every usable one keeps every guarantee; 1: one does not.
    """
    if probe:
        return _probe_backends(backend)
    if backend is not None:
        raise click.UsageError("--backend is for --probe; type: neuron-xp backends --probe")
    table = format_table(
        ("backend", "version", "device", "usable", "reason"),
        [
            (s.name, s.version, s.device, "yes" if s.usable else "no", s.reason)
            for s in list_statuses()
        ],
    )
    return Outcome(f"{table}\n{describe_kernels()}")


def _probe_backends(name: str | None) -> Outcome:
    """Examine the backend of a name on each of its devices, or all that are usable."""
    from neuron_xp.testing.doctor import examine

    if name is not None:
        open_backend(name)  # or say why not
    statuses = list_statuses(None if name is None else [name])  # others are not imported for it
    found = [examine(status.name, status.device) for status in statuses if status.usable]
    text = "\n\n".join([f"neuron_xp {neuron_xp.__version__}", *map(str, found)])
    return Outcome(text, status=0 if all(examination.holds for examination in found) else 1)


MATRIX_HEADER = (
    "backend", "version", "device", "engine", "arithmetic", "same bits", "ulp", "seconds",
)  # fmt: skip
MATRIX_LEGEND = (
    "same bits: cases with the published fingerprint; those that take long are left out\n"
    "ulp: the largest distance of a weight from numpy's reproducible one"
)


@click.command("matrix")
@JSON
@FORCE
def run_matrix(file: Path | None, force: bool) -> Outcome:
    """Train on every usable backend and compare the bits.

    Status 0: all reproducible fingerprints are the published ones; 1: some differ, or a training
    failed. The file of --json has what was found so far, also when the command is stopped.
    """
    check_json(file, force=force)
    usable = matrix.find_usable_backends()
    count = len(usable) * len(ARITHMETICS) * len(CASES)
    keep = partial(write_json, file, finished=False)
    results = list_with_bar(matrix.run_matrix(usable), count, keep)
    write_json(file, results, finished=True)
    rows = [_matrix_row(list(group)) for _, group in groupby(results, key=_row_key)]
    wrong = _list_different(results) + _list_failed(results)
    text = "\n".join([format_table(MATRIX_HEADER, rows), *wrong, MATRIX_LEGEND])
    return Outcome(text, status=1 if wrong else 0)


def _list_different(results: Iterable[matrix.Result]) -> list[str]:
    expected = published()
    return [
        f"DIFFERENT: {r.case} on {r.backend} {r.device}: {r.fingerprint}"
        for r in results
        if r.arithmetic == "reproducible" and not r.failure and r.fingerprint != expected[r.case]
    ]


def _list_failed(results: Iterable[matrix.Result]) -> list[str]:
    """List each failure of a row once, by the first case that it ended."""
    cases: dict[tuple[str, ...], list[str]] = {}
    for r in results:
        if r.failure:
            cases.setdefault((*_row_key(r), r.failure), []).append(r.case)
    return [
        f"FAILED: {failed[0]}{f' and {len(failed) - 1} more' if failed[1:] else ''} "
        f"on {name} {device}, {engine}, {arithmetic}: {failure}"
        for (name, device, engine, arithmetic, failure), failed in cases.items()
    ]


def _row_key(result: matrix.Result) -> tuple[str, str, str, str]:
    return result.backend, result.device, result.engine, result.arithmetic


def _matrix_row(results: Sequence[matrix.Result]) -> tuple[str, ...]:
    first, expected = results[0], published()
    same = sum(r.fingerprint == expected[r.case] for r in results)
    apart = max((r.ulp for r in results if r.ulp is not None), default="-")
    return (
        first.backend, first.version, first.device, first.engine, first.arithmetic,
        f"{same} of {len(results)}" if first.arithmetic == "reproducible" else "-",
        str(apart), f"{sum(r.seconds for r in results):.2f}",
    )  # fmt: skip


# --- why two differ --------------------------------------------------------------------


@click.command("explain")
@click.argument("files", nargs=-1, type=DATA)
@click.option("--backend", default="torch", show_default=True, help="Such as torch:cuda:0.")
@click.option("--against", default="numpy", show_default=True, help="The other one.")
@click.option("--arithmetic", type=click.Choice(ARITHMETICS), default=ARITHMETICS[0],
              show_default=True, help="Or the library's own.")  # fmt: skip
@click.option("--target", help="The column of a table to learn: name, or number from 0.")
@click.option("--categories", multiple=True, help="A feature of words; may be repeated.")
@click.option("--rows", type=int, default=1000, show_default=True, help="Of random inputs.")
@click.option("--features", type=int, default=20, show_default=True, help="Of random inputs.")
@click.option("--hidden", type=LayerSizes(), default=(), help="Sizes of hidden layers: 16,8.")
@click.option("--iterations", type=int, default=10, show_default=True, help="Of gradient descent.")
def explain_difference(
    files: tuple[Path | str, ...], backend: str, against: str, target: str | None,
    categories: tuple[str, ...], rows: int, features: int, **settings: Any,
) -> Outcome:  # fmt: skip
    """Where and why two libraries, or two models, part. Status 0: they do not; 1: they do.

    Without FILES on random inputs, with one on a table. Two FILES are models, whose numbers and
    settings are compared.
    """
    from neuron_xp.testing.explaining import data, models  # which few commands need

    if len(files) > 2:
        raise click.UsageError(f"give no file, a table, or two models; got {len(files)} files")
    if len(files) == 2:
        compared = models.explain_models(*files)
        return Outcome(str(compared), status=int(compared.parts))
    if files:
        if target is None:
            raise click.UsageError("a table needs --target, the column to learn")
        found = data.explain_table(
            against, backend, files[0], target=read_column(target), categories=categories,
            **settings,
        )  # fmt: skip
    else:
        found = data.explain_random(against, backend, rows=rows, features=features, **settings)
    return Outcome(str(found), status=int(found.parts))


COMMANDS = (demo, list_backends, run_matrix, explain_difference)
