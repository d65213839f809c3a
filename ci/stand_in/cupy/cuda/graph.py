"""CuPy's graphs, by the name of their module."""

from cupy._devices import Graph
