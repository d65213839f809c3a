"""The neural network that training returns: its weights, its outputs, its files."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from neuron_xp.backends.backend import Backend, is_lazy
from neuron_xp.backends.convert import convert_numbers, convert_unseen, count_dimensions
from neuron_xp.backends.engine import choose_block_rows, compile_think, find_think
from neuron_xp.backends.examples import pad_rows
from neuron_xp.backends.libraries import find_backend, open_backend
from neuron_xp.backends.probe.rounding import check_rounding
from neuron_xp.files.durable import read_regular, write_durably
from neuron_xp.frames import check_names, is_frame, read_frame
from neuron_xp.model import model_file
from neuron_xp.model.exports.torch_module import make_torch_module
from neuron_xp.model.fingerprint import fingerprint_arrays
from neuron_xp.model.model_file import Model
from neuron_xp.model.position import Ending, History
from neuron_xp.model.settings import Settings
from neuron_xp.model.summary import format_html
from neuron_xp.model.table_use import TableUse
from neuron_xp.neuron.layers import Parameters
from neuron_xp.neuron.step import Scaling
from neuron_xp.neuron.types import Array


@dataclass(frozen=True, eq=False, repr=False)
class NeuralNetwork:
    """A trained network of sigmoid neurons, and what made it.

    weights : tuple of arrays, one a layer, (inputs, neurons), float64 or float32
        In the library and on the device of `backend`.
    backend : Backend
        The array library and device that hold the weights.
    settings : Settings
        The keywords of `train` that the weights depend on.
    biases : tuple of arrays, one a layer, (neurons,); or empty
    scaling : Scaling(mean, inverse_scale), (features,) each; or None
        With it the network thinks about (inputs - mean) * inverse_scale.
    history : tuple of (iterations done, loss)
    ending : Ending, why and when the training that has just been stopped; or None
    data_fingerprint : str, of the data that it was trained on, if that is known
    table : TableUse, its origin in a table; or None
    feature_names : tuple of str, the columns of the data frame that it was trained on; or None
    """

    weights: tuple[Array, ...]
    backend: Backend
    settings: Settings = field(default_factory=Settings)
    biases: tuple[Array, ...] = ()
    scaling: Scaling | None = None
    history: History = ()
    ending: Ending | None = None
    data_fingerprint: str | None = None
    table: TableUse | None = None
    feature_names: tuple[str, ...] | None = None

    @property
    def parameters(self) -> Parameters:
        """Weights and biases."""
        return Parameters(self.weights, self.biases)

    def think(self, inputs: Any) -> Array:
        """Return the outputs of the last layer; each layer is sigmoid(inputs @ weights + bias).

        In the last layer of a network that was trained by the rule softmax_cross_entropy the
        softmax takes the sigmoid's place: outputs are the probabilities of classes.

        inputs : lists, an array or a data frame, (features,) for one example or (examples,
            features); the columns of a frame are those of the training's, in their order

        Returns an array, (neurons,) or (examples, neurons), in the network's library and of the
        dtype of its weights. For a Dask array or dataframe it is a Dask array, computed chunk by
        chunk where the chunks are. Raises ValueError or TypeError for inputs that are not finite
        real numbers, or whose number of features is not the network's.

        >>> import neuron_xp
        >>> print(neuron_xp.train().think([1, 0, 0]))
        [0.99993704]
        """
        if is_lazy(inputs):
            return self._think_lazily(inputs)
        return self._compute(inputs)

    def logits(self, inputs: Any) -> Array:
        """Return the weighted sums, inputs @ weights + bias, of the last layer: before its sigmoid.

        With a softmax in its place they are those of the classes. Takes, returns and raises what
        `think` does, but for Dask.

        >>> import neuron_xp
        >>> print(neuron_xp.train().logits([1, 0, 0]))
        [9.67299303]
        """
        return self._compute(inputs, logits=True)

    def _compute(self, inputs: Any, *, logits: bool = False, threads: int | None = None) -> Array:
        """Return the outputs, or the weighted sums, of the last layer."""
        if is_frame(inputs):
            inputs, names = read_frame("inputs", inputs)
            check_names("inputs", names, self.input_names, "network.input_names")
        check_rounding(self.settings.arithmetic)
        dimensions = 1 if count_dimensions(inputs) == 1 else 2
        rows = 1 if dimensions == 1 else _count_rows(inputs)
        kernel = None
        if self.settings.arithmetic == "reproducible":
            kernel = find_think(
                self.backend, self.settings.rule, logits=logits, threads=threads,
                work=rows * sum(math.prod(w.shape) for w in self.weights),
            )  # fmt: skip
        outputs = None
        with self.backend.context():
            if kernel is not None:
                x = convert_unseen("inputs", inputs, self.backend, dimensions=dimensions)
                outputs = kernel(self._shape(x), self.parameters, self.scaling)
            if outputs is None:
                is_double = self.weights[0].dtype == self.backend.xp.float64
                x = convert_numbers(
                    "inputs", inputs, self.backend,
                    dtype="float64" if is_double else "float32", dimensions=dimensions,
                )  # fmt: skip
                outputs = self._compute_blocks(self._shape(x), logits)
        return outputs[0, :] if dimensions == 1 else outputs

    def _shape(self, x: Array) -> Array:
        """Return inputs as (examples, features), of which there must be as many as are known."""
        features, given = self.weights[0].shape[0], x.shape[-1]
        if given != features:
            raise ValueError(f"inputs have {given} features but the network has {features}")
        return x if x.ndim == 2 else self.backend.xp.reshape(x, (1, features))

    def _compute_blocks(self, x: Array, logits: bool) -> Array:
        arithmetic, rule = self.settings.arithmetic, self.settings.rule
        think = compile_think(self.backend, arithmetic, rule, logits=logits)
        parameters = self.parameters
        rows, block = x.shape[0], choose_block_rows([w.shape for w in self.weights], self.backend)
        blocks = (x[i : min(i + block, rows), :] for i in range(0, rows, block))
        padded = (pad_rows(x, self.backend, most=block) for x in blocks)
        outputs = self.backend.xp.concat([think(x, parameters, self.scaling) for x in padded])
        return outputs[:rows, :]

    def _think_lazily(self, inputs: Any) -> Any:
        x = inputs.to_dask_array() if hasattr(type(inputs), "to_dask_array") else inputs
        features, neurons = self.weights[0].shape[0], self.weights[-1].shape[1]
        if x.ndim != 2 or x.shape[1] != features:
            raise ValueError(f"inputs must have the shape (examples, {features}); got {x.shape}")
        x = x.rechunk({1: features})
        chunks = x.chunks[0], (neurons,)
        return x.map_blocks(_think_of_chunk, self, chunks=chunks, meta=np.empty((0, 0)))

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """The number of inputs, and of the neurons of each layer."""
        return self.weights[0].shape[0], *(layer.shape[1] for layer in self.weights)

    @property
    def input_names(self) -> tuple[str, ...] | None:
        """The names of the inputs, of a table or a data frame, where they are known."""
        return self.feature_names if self.table is None else self.table.columns.input_names

    def fingerprint(self) -> str:
        """Return the SHA-256 over name, dtype, shape and little-endian bytes of what was learned.

        The arrays are the weights, then biases and scaling if there are any. The same bits have
        the same fingerprint, whichever library holds them.
        """
        return fingerprint_arrays(self.to_model().name_learned())

    def save(self, path: str | PathLike[str]) -> None:
        """Write a model file (safetensors), whole or not at all; an older one is replaced.

        It holds what was learned and the settings, and no trace of the library or the
        machine: the same bits make the same file everywhere. `history` is not kept.
        Raises OSError.
        """
        write_durably(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the content of the model file that `save` writes."""
        return model_file.to_bytes(self.to_model())

    def to_onnx(
        self, path: str | PathLike[str], *,
        classes: Iterable[Any] | None = None, feature_names: Iterable[Any] | None = None,
    ) -> None:  # fmt: skip
        """Write an ONNX file, for other programs: the extra `onnx`. An older one is replaced.

        Its graph is inputs (N, features) -> outputs (N, neurons), of the dtype of the weights,
        with the standardization inside. onnxruntime's sigmoid is off by some 1e-16 (float32: 1e-7),
        of small outputs, too: what is below that may be 0. Metadata, as JSON: fingerprint, rule,
        contract, classes (two for one neuron; default: those of the table it was trained on) and
        feature_names (default: `input_names`). Raises ImportError, TypeError, ValueError, OSError.
        """
        from neuron_xp.model.exports.onnx_file import make_onnx  # needs onnx

        names = self.input_names if feature_names is None else feature_names
        write_durably(path, make_onnx(self.to_model(), classes=classes, feature_names=names))

    def to_torch(self) -> Any:
        """Return a `torch.nn.Sequential` with the weights: to train further, save or deploy.

        Its outputs are those of `think` but for the last digits. Raises MissingBackendError.
        """
        model = self.to_model()
        softmax = self.settings.rule == "softmax_cross_entropy"
        return make_torch_module(model.weights, model.biases, model.scaling, softmax=softmax)

    @classmethod
    def load(
        cls, path: str | PathLike[str], *, backend: Any = "numpy", device: Any = None
    ) -> "NeuralNetwork":
        """Read the network of a model file, on any backend.

        Raises OSError, or ModelFileError (a ValueError) for a file that is damaged, newer
        than this program, or something else.
        """
        model = model_file.from_bytes(read_regular(path), str(path))
        return cls.from_model(model, open_backend(backend, device))

    def to_model(self) -> Model:
        """Return what a model file holds, on the host."""
        to_host = self.backend.to_host
        with self.backend.context():
            weights, biases = (tuple(map(to_host, arrays)) for arrays in self.parameters)
            scaling = None
            if self.scaling is not None:
                scaling = to_host(self.scaling.mean), to_host(self.scaling.inverse_scale)
        return Model(
            weights=weights, biases=biases, scaling=scaling, settings=self.settings,
            data_fingerprint=self.data_fingerprint, table=self.table,
            feature_names=self.feature_names,
        )  # fmt: skip

    @classmethod
    def from_model(
        cls, model: Model, backend: Backend, history: History = (), ending: Ending | None = None
    ) -> "NeuralNetwork":
        """Return the network that a model describes, on a backend."""
        from_host = backend.from_host
        with backend.context():
            weights, biases = (tuple(map(from_host, x)) for x in (model.weights, model.biases))
            scaling = None
            if model.scaling is not None:
                scaling = Scaling(*map(from_host, model.scaling))
        return cls(
            weights=weights, biases=biases, scaling=scaling, backend=backend,
            settings=model.settings, history=history, ending=ending,
            data_fingerprint=model.data_fingerprint, table=model.table,
            feature_names=model.feature_names,
        )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle through the host: some libraries' own pickles may round float64."""
        arguments = self.to_model(), self.backend, self.history, self.ending
        return NeuralNetwork.from_model, arguments

    def _repr_html_(self) -> str:
        """Show itself in a notebook."""
        return format_html(self)

    def __repr__(self) -> str:
        return (
            f"<NeuralNetwork {'-'.join(map(str, self.layer_sizes))}, {self.settings.arithmetic}, "
            f"{self.backend}, fingerprint {self.fingerprint()[:12]}>"
        )


def _count_rows(inputs: Any) -> int:
    """Count the rows of lists or of an array; 0 for what is neither, and will be refused."""
    shape = getattr(inputs, "shape", None)  # an array of the standard may have no length
    if shape is None:
        return len(inputs) if isinstance(inputs, list | tuple) else 0
    return int(shape[0]) if shape else 0


def _think_of_chunk(chunk: Array, network: NeuralNetwork) -> Array:
    """Return the outputs for a chunk, by the library that holds it."""
    if chunk.shape[0] == 0:
        return np.empty((0, network.weights[-1].shape[1]))
    network = NeuralNetwork.from_model(network.to_model(), find_backend(chunk))
    return network._compute(chunk, threads=1)  # Dask's threads have a chunk each
