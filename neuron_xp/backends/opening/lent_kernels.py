"""Kernels of one library, lent to another whose arrays lie in the same memory.

NumPy's serve the processor's arrays and CuPy's those of a GPU, whichever library they belong to:
DLPack hands the memory over, and nothing is copied.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from neuron_xp.backends.backend import Kernels, MakeKernels, Summand, Think, map_arrays
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Examples
from neuron_xp.neuron.types import Array

Convert = Callable[[Array], Array]


@dataclass(frozen=True)
class Loan:
    """The way from one library's arrays to another's, and back.

    borrow(array) : the array as one of the lender, which only reads it
    give(array) : an array that the lender has made, as one of the borrower
    context() : what must be in force while the lender works; at its end the lender is done
    """

    borrow: Convert
    give: Convert
    context: Callable[[], AbstractContextManager[Any]]

    def call(self, function: Callable[..., Any], *values: Any) -> Any:
        """Return what the lender's function gives for the borrower's values: arrays in tuples."""
        with self.context():
            return map_arrays(self.give, function(*map_arrays(self.borrow, values)))


@dataclass(frozen=True)
class LentKernels:
    """The lender's kernels, called with the borrower's arrays; see `backend.Kernels`."""

    kernels: Kernels
    loan: Loan

    def run(
        self,
        count: int,
        parameters: Parameters,
        examples: Examples,
        learning_rate: float,
        l2: float | None,
    ) -> Parameters:
        """See `backend.Kernels`."""

        def run(parameters: Parameters, examples: Examples) -> Parameters:
            return self.kernels.run(count, parameters, examples, learning_rate, l2)

        moved: Parameters = self.loan.call(run, parameters, examples)
        return moved

    def loss(self, parameters: Parameters, examples: Examples) -> Array:
        """See `backend.Kernels`."""
        return self.loan.call(self.kernels.loss, parameters, examples)

    def sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        found: tuple[Array, ...] = self.loan.call(self.kernels.sums, parameters, examples)
        return found

    def losses_and_sums(self, parameters: Parameters, examples: Examples) -> tuple[Array, ...]:
        """See `backend.Kernels`."""
        sums = self.kernels.losses_and_sums
        found: tuple[Array, ...] = self.loan.call(sums, parameters, examples)
        return found

    def share_all(self) -> "LentKernels":
        """See `backend.Kernels`."""
        return replace(self, kernels=self.kernels.share_all())

    def find_think(self, *, logits: bool) -> Think | None:
        """See `backend.Kernels`."""
        found = self.kernels.find_think(logits=logits)
        return None if found is None else partial(self.loan.call, found)

    def find_summand(self, function: Summand) -> Summand | None:
        """See `backend.Kernels`."""
        found = self.kernels.find_summand(function)
        return None if found is None else partial(self.loan.call, found)


def lend(make_kernels: MakeKernels, loan: Loan) -> MakeKernels:
    """Return what makes the lender's kernels for the borrower."""

    def make_lent_kernels(rule: str, *, no_tiny_inputs: bool, threads: int) -> Kernels:
        made = make_kernels(rule, no_tiny_inputs=no_tiny_inputs, threads=threads)
        return LentKernels(made, loan)

    return make_lent_kernels
