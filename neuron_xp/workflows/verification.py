"""Verification: a second training from what a network knows, and what is the same.

The data are compared before anything is trained; of a table also the rows that were held out,
and the score on them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from neuron_xp.backends.backend import Backend
from neuron_xp.errors import ignore_learning
from neuron_xp.frames import is_frame, read_frame
from neuron_xp.model.fingerprint import GROUP
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.table_use import HeldOut, TableUse, split_rows
from neuron_xp.training.data.training_set import Given, TrainingSet, Where, open_training_set
from neuron_xp.training.fit import fit
from neuron_xp.training.report import Progress
from neuron_xp.workflows.table_data import explain_to_model, open_table_data
from neuron_xp.workflows.table_scoring import (
    Score,
    add_unordered,
    describe_held_out,
    fingerprint_rows,
    table_use_of,
)
from neuron_xp.workflows.table_training import prepare
from neuron_xp.workflows.table_weights import add_weights_column, weigh_rows


@dataclass(frozen=True, eq=False)
class Verification:
    """A second training from what a network holds, and what is the same.

    network : of the second training; None where other data ended it before
    same_data : whether the data are those it was trained on; None where it does not know them
    same_bits : whether the second training ended on the same bits
    same_score : whether the score on held-out rows is the same; None where none is known
    differences : what differs, a sentence each
    held_out : the score on held-out rows
    """

    network: NeuralNetwork | None
    same_data: bool | None
    same_bits: bool
    same_score: bool | None = None
    differences: tuple[str, ...] = ()
    held_out: Score | None = None

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return self.same_bits and self.same_data is not False and self.same_score is not False


def verify(
    network: NeuralNetwork,
    inputs: Any,
    targets: Any = None,
    *,
    sample_weight: Any = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool | None = None,
    backend: Backend | str | None = None,
    device: Any = None,
    threads: int | None = None,
    max_memory: int | str | None = None,
    on_cluster: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
) -> Verification:
    r"""Train again, on any backend, from what the network knows, and compare the bits.

    They are the same where the data are, whatever the backend. Data that are known to be other
    end it before it trains.

    inputs : the path of the table; or inputs, targets and sample weights as `train` takes them
    delimiter, decimal, header : of the table's text, where not as in training
    backend : default: numpy for a table, else that of the inputs

    Raises what `train` and `train_on_table` do, and does not warn again of what was learned.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import neuron_xp
    >>> table = pathlib.Path(tempfile.mkdtemp(), "fruit.csv")
    >>> rows = "grams,kind", "150,apple", "160,apple", "8,cherry", "9,cherry"
    >>> _ = table.write_text("\n".join(rows))
    >>> network = neuron_xp.train_on_table(table, target="kind").network
    >>> neuron_xp.verify(network, table).same_bits
    True
    >>> inputs, targets = [[0, 1], [1, 0], [1, 1]], [0, 1, 1]
    >>> neuron_xp.verify(neuron_xp.train(inputs, targets), inputs, targets).same_bits
    True
    """
    where = Where(backend=backend, device=device, threads=threads, max_memory=max_memory)
    _check_kind(network, inputs, targets)
    if on_cluster and targets is not None:
        raise ValueError("on_cluster is for tables; give Dask arrays, or leave it out")
    if targets is None:
        use = table_use_of(network).read_with(delimiter=delimiter, decimal=decimal, header=header)
        return _verify_table(replace(network, table=use), inputs, where, on_cluster, on_progress)
    if (delimiter, decimal, header) != (None, None, None):
        raise ValueError("delimiter, decimal and header are for tables of text; leave them out")
    given = Given(
        inputs=_read("inputs", inputs),
        targets=_read("targets", targets),
        sample_weight=_read("sample_weight", sample_weight),
    )
    data = open_training_set(given, network.settings, where)
    return _compare(network, data, on_progress)


def _check_kind(network: NeuralNetwork, inputs: Any, targets: Any) -> None:
    if targets is None and not isinstance(inputs, str | PathLike):
        raise TypeError("targets are missing; give verify(network, inputs, targets)")
    if targets is None and network.table is None and isinstance(inputs, Path | str):
        raise ValueError(
            "the model was not trained on a table: it does not know its columns; give inputs and "
            "targets, as train() took them"
        )
    if targets is not None and network.table is not None:
        raise ValueError("the model was trained on a table: give its path alone")


def _read(name: str, value: Any) -> Any:
    return read_frame(name, value).values if is_frame(value) else value


def _verify_table(
    network: NeuralNetwork,
    path: str | PathLike[str],
    where: Where,
    on_cluster: bool,
    on_progress: Callable[[Progress], object] | None,
) -> Verification:
    use, settings = table_use_of(network), network.settings
    if where.backend is None and not on_cluster:
        where = replace(where, backend="numpy")
    where = prepare(settings, where, on_cluster=on_cluster)
    memory = where.memory_bytes()
    with explain_to_model(), open_table_data(
        path, add_weights_column(use), known=True, max_memory=memory, on_cluster=on_cluster
    ) as whole:  # fmt: skip
        table, sample_weight = weigh_rows(whole, use, memory)
        given = Given(table.training.inputs, table.training.targets, sample_weight)
        data = open_training_set(given, settings, where)
        held_out_rows = 0 if table.held_out is None else table.held_out.count
        found = _find_differences(network, data, held_out_rows)
        if use.held_out is not None and table.held_out is not None:
            fingerprint = fingerprint_rows(network, table.held_out, memory)
            found += _compare_held_out_rows(use.held_out, table.held_out.count, fingerprint)
        if found:
            if use.unordered == add_unordered(data, network, table.held_out, memory):
                found = ("the rows are the same, in another order",)
            return Verification(None, same_data=False, same_bits=False, differences=found)
        verified = _compare(network, data, on_progress)
        if use.held_out is None or table.held_out is None or verified.network is None:
            return verified
        again, scored = describe_held_out(verified.network, table.held_out, use.columns, memory)
        return _add_score(verified, use.held_out, again, scored)


def _compare(
    network: NeuralNetwork, data: TrainingSet, on_progress: Callable[[Progress], object] | None
) -> Verification:
    """Compare the data, if they are known, and then what they teach."""
    known = network.data_fingerprint is not None
    differences = _find_differences(network, data)
    if differences:
        return Verification(None, same_data=False, same_bits=False, differences=differences)
    with ignore_learning():
        again = fit(data, network.settings, on_progress=on_progress)
    same = again.fingerprint() == network.fingerprint()
    return Verification(
        network=again,
        same_data=True if known else None,
        same_bits=same,
        differences=() if same else ("the same data and settings led to other bits",),
    )


def _find_differences(
    network: NeuralNetwork, data: TrainingSet, held_out_rows: int = 0
) -> tuple[str, ...]:
    """Say how the data differ from those that the network was trained on."""
    if network.data_fingerprint is None:
        return _compare_sizes(network, data)
    with data.backend.context():
        if data.fingerprint() == network.data_fingerprint:
            return ()
        use = network.table
        if use is None or use.rows is None:
            return _compare_sizes(network, data) or ("the data are other ones",)
        if use.rows != data.rows:
            return (f"{data.rows} rows to train on, where the model had {use.rows}",)
        where = _find_rows(use, data.fingerprint_groups(), data.rows + held_out_rows)
    return (f"{data.rows} rows to train on, as the model had, but not with the same values{where}",)


def _find_rows(use: TableUse, groups: tuple[str, ...], all_rows: int) -> str:
    """Say among which rows of the table, counted from 1, the first that differs is; if known."""
    if use.groups is None or len(groups) != len(use.groups):
        return ""
    pairs = zip(use.groups, groups, strict=True)
    differing = [number for number, (known, found) in enumerate(pairs) if known != found]
    if not differing:
        return ""
    rows, _ = split_rows(all_rows, use)
    chosen = rows[GROUP * differing[0] : GROUP * (differing[0] + 1)]
    return f": the first is among the rows {chosen[0] + 1} to {chosen[-1] + 1} of the table"


def _compare_sizes(network: NeuralNetwork, data: TrainingSet) -> tuple[str, ...]:
    learned, given = network.layer_sizes, data.layer_sizes
    if learned == given:
        return ()
    return (
        f"{given[0]} features and {given[-1]} targets, where the model had {learned[0]} and "
        f"{learned[-1]}",
    )


def _compare_held_out_rows(known: HeldOut, rows: int, fingerprint: str) -> tuple[str, ...]:
    if known.rows != rows:
        return (f"{rows} rows held out, where the model had {known.rows}",)
    if known.fingerprint != fingerprint:
        return (f"the {known.rows} rows that were held out have other values",)
    return ()


def _add_score(
    verified: Verification, known: HeldOut, found: HeldOut, scored: Score
) -> Verification:
    same = found == known
    if same:
        return replace(verified, same_score=True, held_out=scored)
    difference = (
        f"the loss on held-out rows is {float.fromhex(found.loss)!r}, where the model had "
        f"{float.fromhex(known.loss)!r}"
    )
    differences = (*verified.differences, difference)
    return replace(verified, same_score=False, held_out=scored, differences=differences)
