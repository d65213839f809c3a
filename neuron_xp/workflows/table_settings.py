"""Settings of a training on a table: what holds where nothing is said, and the target's rule."""

from dataclasses import dataclass, replace
from typing import Any

from neuron_xp.checks import check_choice
from neuron_xp.model.settings import AUTO, OPTIMIZER_DEFAULTS, Settings, check_settings
from neuron_xp.tables.columns import Columns
from neuron_xp.training.data.training_set import MOST_CLASSES

DEFAULTS: dict[str, Any] = {"optimizer": "lbfgs", "bias": True, "standardize": True}
BY_OPTIMIZER: dict[str, dict[str, Any]] = {
    "gradient_descent": {"learning_rate": AUTO},
    "lbfgs": {"l2": 1.0},
    "adam": {"l2": 1.0},
}
"""What differs from the defaults of `neuron_xp.train`."""


@dataclass(frozen=True)
class TableSettings:
    """Settings that were checked before the table is known; made by `check_table_settings`.

    base : for a target of two classes, or of numbers
    rule_by_target : whether a softmax takes the place of the rule for three classes and more
    """

    base: Settings
    rule_by_target: bool

    def choose(self, columns: Columns) -> Settings:
        """Return the settings for a table with these columns."""
        if self.rule_by_target and 2 < len(columns.classes or ()) <= MOST_CLASSES:
            return replace(self.base, rule="softmax_cross_entropy")
        return self.base


def check_table_settings(**given: Any) -> TableSettings:
    """Return settings of `neuron_xp.train`, or raise a line about the first that is wrong.

    Those that are not given, or None, have the defaults of tables.
    """
    said = {name: value for name, value in given.items() if value is not None}
    defaults = DEFAULTS | said
    optimizer = check_choice("optimizer", defaults["optimizer"], OPTIMIZER_DEFAULTS)
    base = check_settings(**(BY_OPTIMIZER[optimizer] | defaults))
    return TableSettings(base, "rule" not in said and base.rule == "cross_entropy")
