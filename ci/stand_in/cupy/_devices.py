"""Devices and streams that are make-believe, and which of them each thread works on."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

COUNT = 2
BYTES = 80 * 2**30  # of a device's memory

ATTRIBUTES = {  # of an H100, as CuPy spells them
    "MaxSharedMemoryPerBlock": 48 * 1024,
    "MaxSharedMemoryPerBlockOptin": 227 * 1024,
    "MaxSharedMemoryPerMultiprocessor": 228 * 1024,
    "MaxThreadsPerBlock": 1024,
    "MultiProcessorCount": 3,  # not an H100's 132: a few blocks have many leaves then
    "WarpSize": 32,
}


class CUDARuntimeError(RuntimeError):
    """What the CUDA runtime refuses."""


class Current(threading.local):
    """The current device of a thread, and its current stream on each device."""

    def __init__(self) -> None:
        self.device = 0
        self.devices_before: list[int] = []
        self.streams: dict[int, Stream] = {}
        self.streams_before: list[tuple[int, Stream]] = []


class Device:
    """A device by its number, or the current one; as a context it is the thread's current one."""

    def __init__(self, device: Any = None) -> None:
        self.id = current.device if device is None else int(device)
        self._check()

    def _check(self) -> None:
        if not 0 <= self.id < COUNT:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __int__(self) -> int:
        return self.id

    def __enter__(self) -> "Device":
        current.devices_before.append(current.device)
        current.device = self.id
        return self

    def __exit__(self, *_: object) -> None:
        current.device = current.devices_before.pop()

    def use(self) -> None:
        current.device = self.id

    def synchronize(self) -> None:
        refuse_in_capture("cudaDeviceSynchronize")

    @property
    def attributes(self) -> dict[str, int]:
        return dict(ATTRIBUTES)

    @property
    def compute_capability(self) -> str:
        return "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        return BYTES, BYTES

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class Stream:
    """A stream of a device: what is started runs at once, or is kept while it is captured."""

    null: "Stream"

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False,
        priority: int | None = None,
    ) -> None:  # fmt: skip
        self.is_non_blocking = non_blocking
        self._device = None if null or ptds else current.device
        self.ptr = 0 if null else 2 if ptds else id(self)
        self._captured: list[Callable[[], None]] | None = None

    def __enter__(self) -> "Stream":
        current.streams_before.append((current.device, current_stream()))
        self.use()
        return self

    def __exit__(self, *_: object) -> None:
        device, before = current.streams_before.pop()
        current.streams[device] = before

    def use(self) -> "Stream":
        if self._device not in (None, current.device):
            raise ValueError(
                f"a stream of device {self._device} on the current device {current.device}"
            )
        current.streams[current.device] = self
        return self

    def begin_capture(self, mode: int | None = None) -> None:
        if self._device is None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: the null stream")
        if self._captured is not None:
            raise CUDARuntimeError("cudaErrorIllegalState: it is captured already")
        self._captured = []

    def end_capture(self) -> "Graph":
        if self._captured is None:
            raise CUDARuntimeError("cudaErrorIllegalState: it is not captured")
        captured, self._captured = self._captured, None
        return Graph(captured)

    def is_capturing(self) -> bool:
        return self._captured is not None

    def _add(self, work: Callable[[], None]) -> None:
        """Do the work, or keep it for the graph."""
        if self._captured is None:
            work()
        else:
            self._captured.append(work)

    def synchronize(self) -> None:
        if self.is_capturing():
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: synchronize")

    @property
    def done(self) -> bool:
        return True


class Graph:
    """Kernels that a stream kept, to be started again and again."""

    def __init__(self, work: list[Callable[[], None]]) -> None:
        self._work = work

    def launch(self, stream: Stream | None = None) -> None:
        for work in self._work:
            (stream or current_stream())._add(work)

    def upload(self, stream: Stream | None = None) -> None:
        """Do nothing: it is in memory."""


def current_stream() -> Stream:
    return current.streams.get(current.device, Stream.null)


def refuse_in_capture(what: str) -> None:
    """Raise for what would not be done now, or not at all, while a stream is captured."""
    if current_stream().is_capturing():
        raise CUDARuntimeError(
            f"cudaErrorStreamCaptureUnsupported: {what}; the stand-in captures only kernels"
        )


current = Current()
Stream.null = Stream(null=True)


def check_device(number: int) -> None:
    """Raise for an array of another device: between GPUs without peer access CuPy does."""
    if number != current.device:
        raise ValueError(
            f"The device where the array resides ({number}) is different from the current "
            f"device ({current.device}). Peer access is unavailable between these devices."
        )


class MemoryPointer:
    """The address of an array's numbers."""

    def __init__(self, array: np.ndarray, device: int) -> None:
        self.ptr, self.device_id, self.mem = array.ctypes.data, device, array

    def __int__(self) -> int:
        return self.ptr

    @property
    def device(self) -> Device:
        return Device(self.device_id)


class MemoryPool:
    """CuPy's pool; here memory is NumPy's, and none is kept."""

    def free_all_blocks(self, stream: Stream | None = None) -> None: ...
    def free_bytes(self) -> int:
        return 0

    def used_bytes(self) -> int:
        return 0

    def total_bytes(self) -> int:
        return 0

    def get_limit(self) -> int:
        return 0
