"""CuPy's streams, by the name of their module."""

from cupy._devices import Stream
from cupy._devices import current_stream as get_current_stream
