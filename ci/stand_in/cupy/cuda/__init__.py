"""CuPy's devices, streams and graphs."""

from cupy._devices import (
    Device,
    Graph,
    MemoryPointer,
    MemoryPool,
    Stream,
)
from cupy._devices import current_stream as get_current_stream
from cupy.cuda import device, graph, runtime, stream


def get_device_id() -> int:
    return Device().id


def is_available() -> bool:
    return True
