"""CuPy's devices, by the name of their module."""

from cupy._devices import Device


def get_device_id() -> int:
    return Device().id
