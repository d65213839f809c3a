"""An H100 that XLA is told of, and what XLA compiles for it."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

NAME = "NVIDIA H100 80GB HBM3"
# As XLA spells it: limits of compute capability 9.0, and NVIDIA's sizes and speeds.
CONFIG = f"""
gpu_device_info {{
  cuda_compute_capability {{ major: 9 minor: 0 }}
  core_count: 132  fpus_per_core: 128  threads_per_warp: 32  clock_rate_ghz: 1.98
  threads_per_block_limit: 1024  threads_per_core_limit: 2048
  registers_per_block_limit: 65536  registers_per_core_limit: 65536
  shared_memory_per_block: 49152  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  device_memory_size: 84942979072  memory_bandwidth: 3352320000000  l2_cache_size: 52428800
}}
platform_name: "CUDA"
device_description_str: "{NAME}"
"""


class Compiled(NamedTuple):
    """What XLA made: the optimized HLO, LLVM IR before and after LLVM's optimizations, and PTX."""

    hlo: str
    llvm: str
    ptx: str


@cache
def _find_sharding() -> SingleDeviceSharding:
    [device] = topologies.get_topology_desc(
        "h100", platform="cuda", target_config=CONFIG, topology="1x1x1"
    ).devices
    return SingleDeviceSharding(device)


def lower(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return the function on arguments of these shapes and types, to be compiled for the H100."""

    def describe(argument: Any) -> jax.ShapeDtypeStruct:
        type_ = jax.typeof(argument)
        return jax.ShapeDtypeStruct(
            type_.shape, type_.dtype, weak_type=type_.weak_type, sharding=_find_sharding()
        )

    traced = jax.jit(function).trace(*jax.tree.map(describe, arguments))
    return traced.lower(lowering_platforms=("cuda",))


def compile_for_h100(lowered: Any, **options: Any) -> Compiled:
    """Compile it, with XLA's options, and return all that XLA wrote on its way."""
    with tempfile.TemporaryDirectory() as folder:
        lowered.compile(
            compiler_options={
                "xla_gpu_autotune_level": 0,  # which would try what is fastest on the device
                "xla_dump_to": folder,
                "xla_dump_hlo_as_text": True,
                **options,
            }
        )
        return Compiled(
            hlo=_read(folder, "*_gpu_after_optimizations.txt"),
            llvm=_read(folder, "*.ll"),
            ptx=_read(folder, "*.ptx"),
        )


def _read(folder: str, pattern: str) -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted(Path(folder).glob(pattern)))
