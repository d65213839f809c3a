"""Settings: every keyword of `train` that the trained bits depend on, checked."""

from dataclasses import dataclass, fields
from typing import Any

from neuron_xp.checks import check_choice, check_number, check_whole_number, check_yes_or_no
from neuron_xp.neuron.losses import RULES
from neuron_xp.neuron.reproducible.exact_sum import LEAF

ARITHMETICS = ("reproducible", "native")
SHUFFLES = ("rows", "leaves")
AUTO = "auto"
WEIGHTED = "weighted"


OPTIMIZER_DEFAULTS: dict[str, dict[str, Any]] = {
    "gradient_descent": {
        "rule": "error_weighted_derivative",
        "learning_rate": 1.0,
        "iterations": 10_000,
        "loss_every": 100,
    },
    "lbfgs": {
        "rule": "cross_entropy",
        "iterations": 1000,
        "loss_every": 1,
        "gradient_tolerance": 1e-7,
    },
    "adam": {
        "rule": "cross_entropy",
        "learning_rate": 0.001,
        "iterations": 10_000,
        "loss_every": 100,
    },
}
"""The settings of each optimizer where nothing else, or None, is said."""


@dataclass(frozen=True)
class Settings:
    """The keywords of `train` that say what is computed; made by `check_settings`."""

    arithmetic: str = "reproducible"
    hidden: tuple[int, ...] = ()
    bias: bool = False
    rule: str = "error_weighted_derivative"
    l2: float = 0.0
    learning_rate: float | str | None = 1.0
    iterations: int = 10_000
    seed: int = 1
    standardize: bool | str = False
    batch_size: int | None = None
    shuffle: str | None = None
    tolerance: float = 0.0
    loss_every: int = 100
    optimizer: str = "gradient_descent"
    gradient_tolerance: float | None = None


DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}


def check_settings(**given: Any) -> Settings:
    """Return settings as plain Python values, or raise a line about the first that is wrong.

    Those that are not given, or None, have the optimizer's defaults, or those of `Settings`.
    """
    defaults = DEFAULTS
    assert given.keys() <= defaults.keys(), "callers refuse other names in their own words"
    given = {name: value for name, value in given.items() if value is not None}
    optimizer = check_choice(
        "optimizer", given.get("optimizer", defaults["optimizer"]), OPTIMIZER_DEFAULTS
    )
    given = defaults | {"learning_rate": None} | OPTIMIZER_DEFAULTS[optimizer] | given
    settings = Settings(
        arithmetic=check_choice("arithmetic", given["arithmetic"], ARITHMETICS),
        hidden=_layer_sizes(given["hidden"]),
        bias=check_yes_or_no("bias", given["bias"]),
        rule=check_choice("rule", given["rule"], RULES),
        l2=check_number("l2", given["l2"], zero=True),
        learning_rate=_learning_rate(given["learning_rate"]),
        iterations=check_whole_number("iterations", given["iterations"], most=2**53),
        seed=check_whole_number("seed", given["seed"], most=2**32 - 1),
        standardize=_standardize(given["standardize"]),
        batch_size=_optional_count("batch_size", given["batch_size"]),
        shuffle=_optional_choice("shuffle", given["shuffle"], SHUFFLES),
        tolerance=check_number("tolerance", given["tolerance"], zero=True),
        loss_every=check_whole_number("loss_every", given["loss_every"], least=1, most=2**63 - 1),
        optimizer=optimizer,
        gradient_tolerance=_gradient_tolerance(given["gradient_tolerance"]),
    )
    _check_combinations(settings)
    return settings


def _layer_sizes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"hidden must be a tuple of layer sizes, such as (4,); got {value!r}")
    return tuple(check_whole_number("a layer size in hidden", size, least=1) for size in value)


def _learning_rate(value: Any) -> float | str | None:
    if value is None:
        return None
    is_auto = isinstance(value, str) and value == AUTO
    return AUTO if is_auto else check_number("learning_rate", value, hint=" (or 'auto')")


def _standardize(value: Any) -> bool | str:
    if isinstance(value, str) and value == WEIGHTED:
        return WEIGHTED
    return check_yes_or_no("standardize", value, hint=" (or 'weighted')")


def _gradient_tolerance(value: Any) -> float | None:
    return None if value is None else check_number("gradient_tolerance", value, zero=True)


def _optional_count(name: str, value: Any) -> int | None:
    return None if value is None else check_whole_number(name, value, least=1, most=2**63 - 1)


def _optional_choice(name: str, value: Any, options: tuple[str, ...]) -> str | None:
    return None if value is None else check_choice(name, value, options)


def _check_combinations(settings: Settings) -> None:
    if settings.optimizer == "lbfgs":
        _check_lbfgs(settings)
    elif settings.gradient_tolerance is not None:
        raise ValueError(
            "gradient_tolerance says when L-BFGS stops: give optimizer='lbfgs', or tolerance, "
            "which looks at the loss"
        )
    if settings.learning_rate == AUTO:
        _check_automatic_rate(settings)
    if settings.shuffle and settings.batch_size is None:
        raise ValueError(
            "shuffle changes nothing without batches: give batch_size, or leave shuffle out"
        )
    if settings.shuffle == "leaves" and (settings.batch_size or 0) % LEAF:
        raise ValueError(
            f"shuffle='leaves' needs a batch_size that is a multiple of {LEAF}; "
            f"got {settings.batch_size}"
        )


def _check_lbfgs(settings: Settings) -> None:
    if settings.learning_rate is not None:
        raise ValueError(
            f"learning_rate={settings.learning_rate!r} does not go with optimizer='lbfgs', which "
            "finds the length of each step itself: leave it out"
        )
    if settings.batch_size is not None:
        raise ValueError(
            f"batch_size={settings.batch_size} does not go with optimizer='lbfgs', which looks at "
            "all examples in each step: leave it out, or give optimizer='adam'"
        )
    if settings.tolerance:
        raise ValueError(
            f"tolerance={settings.tolerance!r} does not go with optimizer='lbfgs': give "
            "gradient_tolerance, the largest slope at which it stops"
        )


def _check_automatic_rate(settings: Settings) -> None:
    if settings.optimizer == "adam":
        raise ValueError(
            "learning_rate='auto' is a safe step of gradient descent; with optimizer='adam' give "
            "a number, or leave it out: 0.001"
        )
    if settings.hidden:
        raise ValueError(
            "learning_rate='auto' is a safe step for one layer; with hidden layers no such "
            "bound is known: give optimizer='lbfgs', which needs no rate, or a number"
        )
