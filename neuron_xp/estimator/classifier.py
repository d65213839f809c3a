"""The classifier: `NeuronClassifier`, a scikit-learn estimator whose weights are the same bits."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from neuron_xp.estimator.data import Classified, bring, read_classified
from neuron_xp.estimator.network_classifier import NetworkClassifier
from neuron_xp.estimator.stopping import Watch, look_each_epoch, split_examples
from neuron_xp.estimator.words import in_own_words, say
from neuron_xp.model.network import NeuralNetwork
from neuron_xp.model.settings import AUTO, WEIGHTED, Settings, check_settings
from neuron_xp.training.data.training_set import Given, TrainingSet, Where, open_training_set
from neuron_xp.training.fit import fit


class NeuronClassifier(NetworkClassifier):
    r"""A classifier by one layer of sigmoid neurons, or several: the same bits everywhere.

    The fitted weights are the same, bit for bit, on every processor and array library. Without
    hidden layers it is logistic regression,

        minimize  sum_i loss(y_i, softmax(x_i @ W + b)) + l2/2 ||W||^2

    of standardized inputs x, with a sigmoid in the softmax's place for two classes: with
    `standardize=False` the optimum is that of `LogisticRegression(C=1/l2)`, and by default that
    of one behind a `StandardScaler`.

    Parameters
    ----------
    hidden : tuple of int, default=()
        Neurons in each hidden layer, which learn by back-propagation.
    optimizer : {"lbfgs", "adam", "gradient_descent"}, default="lbfgs"
        L-BFGS finds its own steps and stops when it is done; Adam is for batches.
    rule : {"cross_entropy", "softmax_cross_entropy", "error_weighted_derivative"}, optional
        Default: cross-entropy, for two classes of a sigmoid, for more of a softmax. Of the other
        rules each class has a sigmoid of its own, and probabilities are brought to the sum 1.
    l2 : float, default=1.0
        The penalty, l2/2 times the sum of the squared weights; biases are free.
    bias : bool, default=True
        Whether each neuron adds a bias.
    standardize : bool, default=True
        Whether to work on (X - mean) / deviation of each column, weighted by the examples'
        weights. Unlike a `StandardScaler` it is the same bits on every machine.
    learning_rate : float or "auto", optional
        Of Adam, default 0.001, and of gradient descent, where it is "auto" for one layer.
    max_iter : int, optional
        The most iterations; default 1000 for L-BFGS, else 10,000.
    tol : float, optional
        L-BFGS stops where no slope of the mean loss is steeper, default 1e-4; the others
        where a recorded loss fell by no more than this share, default 0.
    batch_size : int, optional
        Examples an iteration of Adam and gradient descent; default: all.
    class_weight : dict or "balanced", optional
        A factor of the weights of each class's examples; balanced: examples / (classes * those
        of the class).
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one.
    early_stopping : bool, default=False
        Whether to stop when the accuracy on examples that are kept out has not risen for
        `n_iter_no_change` looks, one an iteration, or an epoch of batches. The best is kept.
    validation_fraction : float, default=0.1
        The share of the examples that is kept out, the same of each class.
    n_iter_no_change : int, default=10
        See `early_stopping`.
    arithmetic : {"reproducible", "native"}, default="reproducible"
        Native: the library's own sums and products, whose last bits differ.
    backend, device : optional
        The array library to train in, such as "cupy"; default: that of X.
    threads : int, optional
        How many may work at once on NumPy arrays; default: one a processor. Changes no bit.
    random_state : int, RandomState or None, default=1
        The seed of starting weights and of batches. Only None gives other weights each time.
    verbose : bool, default=False
        Whether to show a bar as training goes.

    Attributes
    ----------
    classes_ : array (n_classes,)
    network_ : NeuralNetwork, to save, to think with, or to export
    fingerprint_ : str, the SHA-256 of what was learned
    coef_, intercept_ : arrays (1 or n_classes, n_features) and (1 or n_classes,)
        Without hidden layers: `decision_function` is X @ coef_.T + intercept_, but for rounding.
    coefs_, intercepts_ : lists of arrays
        The weights and biases of each layer, as they act on standardized inputs.
    n_iter_ : int
    loss_curve_ : list of float, the mean losses that were recorded
    loss_ : float, the last of them
    validation_scores_, best_validation_score_ : of early stopping
    n_features_in_, feature_names_in_ : as of every estimator

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from neuron_xp import NeuronClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NeuronClassifier().fit(X, y)
    >>> model.predict(X[:2]), round(model.score(X, y), 4)
    (array([0, 0]), 0.9733)
    """

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (),
        optimizer: str = "lbfgs",
        rule: str | None = None,
        l2: float = 1.0,
        bias: bool = True,
        standardize: bool = True,
        learning_rate: float | str | None = None,
        max_iter: int | None = None,
        tol: float | None = None,
        batch_size: int | None = None,
        class_weight: Any = None,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        arithmetic: str = "reproducible",
        backend: Any = None,
        device: Any = None,
        threads: int | None = None,
        random_state: Any = 1,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.optimizer = optimizer
        self.rule = rule
        self.l2 = l2
        self.bias = bias
        self.standardize = standardize
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.arithmetic = arithmetic
        self.backend = backend
        self.device = device
        self.threads = threads
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "NeuronClassifier":
        """Learn the classes y of the examples X.

        X : array or data frame (examples, features) of finite numbers
        y : (examples,) of at least two classes: numbers or text
        sample_weight : (examples,), >= 0, optional; 2 is like having an example twice

        Returns the estimator. Raises ValueError or TypeError.
        """
        examples = read_classified(self, X, y, sample_weight, self.class_weight)
        with in_own_words():
            settings = self._choose_settings(examples)
            watch, training = None, examples
            if self.early_stopping:
                training, kept_out = split_examples(
                    examples, self.validation_fraction, settings.seed
                )
                watch = Watch(kept_out, patience=self.n_iter_no_change)
                settings = look_each_epoch(settings, len(training.labels))
            data = self._open(training, settings)
            network = fit(
                data, settings,
                feature_names=self._find_names(),
                start=self._find_start(data.layer_sizes),
                should_stop=None if watch is None else watch.look,
                on_progress=self._make_bar(),
                say=say,
            )  # fmt: skip
        self._keep(network, examples, watch)
        return self

    def _choose_settings(self, examples: Classified) -> Settings:
        rule, rate, tol = self.rule, self.learning_rate, self.tol
        if rule is None:
            is_binary = examples.count_of_classes == 2
            rule = "cross_entropy" if is_binary else "softmax_cross_entropy"
        if rate is None and self.optimizer == "gradient_descent" and not self.hidden:
            rate = AUTO
        is_lbfgs = self.optimizer == "lbfgs"
        if is_lbfgs and tol is None:
            tol = 1e-4
        standardize: bool | str = self.standardize
        if standardize is True and examples.weight is not None:
            standardize = WEIGHTED
        return check_settings(
            arithmetic=self.arithmetic, hidden=self.hidden, bias=self.bias, rule=rule, l2=self.l2,
            learning_rate=rate, iterations=self.max_iter, seed=self._draw_seed(),
            standardize=standardize, batch_size=self.batch_size,
            shuffle=None if self.batch_size is None else "rows",
            optimizer=self.optimizer, **{"gradient_tolerance" if is_lbfgs else "tolerance": tol},
        )  # fmt: skip

    def _draw_seed(self) -> Any:
        if self.random_state is None or isinstance(self.random_state, np.random.RandomState):
            return int(check_random_state(self.random_state).randint(2**31 - 1))
        return self.random_state

    def _open(self, examples: Classified, settings: Settings) -> TrainingSet:
        columns = examples.count_of_classes
        if columns == 2 and settings.rule != "softmax_cross_entropy":
            columns = 1
        weight = examples.weight
        given = Given(
            inputs=examples.inputs,
            targets=examples.make_targets(columns),
            sample_weight=None if weight is None else bring(weight, examples.inputs),
        )
        where = Where(backend=self.backend, device=self.device, threads=self.threads)
        return open_training_set(given, settings, where)

    def _find_start(self, sizes: tuple[int, ...]) -> NeuralNetwork | None:
        if not (self.warm_start and hasattr(self, "network_")):
            return None
        before = self.network_
        learned = before.layer_sizes
        if learned != sizes or bool(before.biases) != self.bias:
            raise ValueError(
                f"warm_start=True goes on from layers of {'-'.join(map(str, learned))}; got "
                f"{'-'.join(map(str, sizes))}; give the same features, classes, hidden and bias, "
                "or warm_start=False"
            )
        return before

    def _find_names(self) -> tuple[str, ...] | None:
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else tuple(map(str, names))

    def _make_bar(self) -> Any:
        if not self.verbose:
            return None
        from neuron_xp.progress import progress_bar

        return progress_bar()

    def _keep(self, last: NeuralNetwork, examples: Classified, watch: Watch | None) -> None:
        """Set what was learned, in a training that ended with `last`."""
        assert last.ending is not None, "it has just been trained"
        self.classes_ = examples.classes
        self.network_ = last if watch is None or watch.best is None else watch.best
        self.fingerprint_ = self.network_.fingerprint()
        self.n_iter_ = last.ending.iterations
        self.loss_curve_ = [loss for _, loss in last.history]
        self.loss_ = self.loss_curve_[-1]
        self._home = bring(np.zeros(1), examples.inputs)  # its library is that of X
        for name in ("validation_scores_", "best_validation_score_"):  # of a fit before
            self.__dict__.pop(name, None)
        if watch is not None:
            self.validation_scores_ = watch.scores
            self.best_validation_score_ = max(watch.scores)
