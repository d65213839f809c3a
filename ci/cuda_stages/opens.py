"""A library opens on its GPU, or why not: python -m ci.cuda_stages.opens cupy cuda:0."""

import sys
from typing import Any

from ci.cuda_stages.lines import tell
from ci.cuda_stages.runner import LEFT_OUT

MISSING = (
    "{error}; type: {python} -m pip install {package} (without a network bring its wheel, and "
    "give the name of that file)"
)


def main() -> None:
    name, device = sys.argv[1:]
    try:
        from neuron_xp.backends.libraries import open_backend
        from neuron_xp.errors import MissingBackendError, UnusableBackendError
    except ImportError as error:
        package = (error.name or "neuron-xp").partition(".")[0].replace("_", "-")
        sys.exit(MISSING.format(error=error, python=sys.executable, package=package))
    try:
        backend = open_backend(name, device)
    except MissingBackendError as error:
        print(error)
        sys.exit(1 if name == "cupy" else LEFT_OUT)  # all but CuPy may be missing
    except UnusableBackendError as error:
        sys.exit(str(error))
    about = DESCRIPTIONS[name](backend.device)
    tell("library", library=name, version=backend.version, device=device, **about)


def describe_for_cupy(device: Any) -> dict[str, object]:
    """Say what CuPy tells of the device, and the versions of what lies below it."""
    import cupy

    runtime = cupy.cuda.runtime
    found = runtime.getDeviceProperties(device.id)
    free, memory = runtime.memGetInfo()
    return {
        "gpu": found["name"].decode(),
        "processors": found["multiProcessorCount"],
        "capability": f"{found['major']}.{found['minor']}",
        "memory": memory,
        "free": free,
        "driver": name_version(runtime.driverGetVersion()),
        "runtime": name_version(runtime.runtimeGetVersion()),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
    }


def name_version(number: int) -> str:
    """Write CUDA's way to number its versions as others are: 13000 is 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def describe_for_torch(device: Any) -> dict[str, object]:
    """Say what PyTorch tells of the device."""
    import torch

    return {"gpu": torch.cuda.get_device_name(device), "runtime": torch.version.cuda}


def describe_for_jax(device: Any) -> dict[str, object]:
    """Say what JAX tells of the device."""
    return {"gpu": device.device_kind}


DESCRIPTIONS = {
    "cupy": describe_for_cupy, "torch": describe_for_torch, "jax": describe_for_jax,
}  # fmt: skip

if __name__ == "__main__":
    main()
