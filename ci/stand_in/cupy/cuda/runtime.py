"""The CUDA runtime, as far as it is asked."""

from cupy import _devices
from cupy._devices import CUDARuntimeError

streamCaptureModeGlobal, streamCaptureModeThreadLocal, streamCaptureModeRelaxed = range(3)

globals().update({f"cudaDevAttr{name}": place for place, name in enumerate(_devices.ATTRIBUTES)})


def getDeviceCount() -> int:
    return _devices.COUNT


def getDevice() -> int:
    return _devices.current.device


def setDevice(device: int) -> None:
    _devices.Device(device).use()


def deviceSynchronize() -> None:
    _devices.Device().synchronize()


def memGetInfo() -> tuple[int, int]:
    return _devices.Device().mem_info


def getDeviceProperties(device: int) -> dict[str, object]:
    _devices.Device(device)
    return {"name": b"stand-in", "multiProcessorCount": _devices.ATTRIBUTES["MultiProcessorCount"]}


def runtimeGetVersion() -> int:
    return 13000


def driverGetVersion() -> int:
    return 13000
