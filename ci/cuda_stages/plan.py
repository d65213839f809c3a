"""The plan: the stages and their seconds, 460 in all, cheap and certain ones first."""

import sys

from ci.cuda_stages.runner import Part, Stage

PYTHON = (sys.executable, "-u", "-m")
ARRAYS, KERNELS = ({"NEURON_XP_CUDA_KERNELS": value} for value in "01")
# other versions than CI's may warn of what is to come; what other tests need may be missing
PYTEST = (
    *PYTHON, "pytest", "-v", "-W", "default", "-p", "no:cacheprovider",
    "-p", "ci.cuda_stages.recorder", "--doctest-ignore-import-errors",
    "--continue-on-collection-errors", "--all",
)  # fmt: skip


def _open(name: str, device: str) -> Part:
    command = (*PYTHON, "ci.cuda_stages.opens", name, device)
    return Part(f"{name} opens", 10, command, KERNELS, opens=True)


def _test(
    name: str, seconds: float, library: str, chosen: str, folder: str, ways: dict[str, str]
) -> Part:
    environment = {**ways, "NEURON_XP_TEST_BACKENDS": f"numpy,{library}"}
    return Part(name, seconds, (*PYTEST, folder, "-k", chosen), environment)


def _train(seconds: float, name: str, device: str, way: str) -> Part:
    command = (*PYTHON, "ci.cuda_stages.trainings", name, device, way)
    return Part(f"{name} {way}", seconds, command, KERNELS)


def _measure(name: str, seconds: float, *words: str) -> Part:
    return Part(name, seconds, (*PYTHON, "ci.cuda_stages.bench", *words), KERNELS)


def _sanitize(tool: str) -> Part:
    environment = {**KERNELS, "NEURON_XP_TEST_BACKENDS": "numpy,cupy"}
    return Part(tool, 10, (*PYTHON, "ci.cuda_stages.sanitize", tool, *PYTEST), environment)


CUPY = _open("cupy", "cuda:0")
KERNEL_TESTS = "tests/backends/cuda"

STAGES = (
    Stage("kernels", "the CUDA kernels against the definition", (
        CUPY,
        _test("tests", 40, "cupy", "device or compiled", KERNEL_TESTS, KERNELS),
    )),
    Stage("cupy", "the tests that run on every library, on CuPy", (
        CUPY,
        _test("arrays", 55, "cupy", "cupy", "tests", ARRAYS),
        _test("kernels", 45, "cupy", "cupy and not cuda:0:arrays", "tests", KERNELS),
    )),
    Stage("matrix", "the published cases on NumPy and CuPy", (
        CUPY,
        _train(15, "numpy", "cpu", "arrays"),
        _train(35, "cupy", "cuda:0", "arrays"),
        _train(25, "cupy", "cuda:0", "kernels"),
    )),
    Stage("bench", "the time of an iteration, and the memory's bandwidth", (
        CUPY,
        _measure("arrays", 35, "arrays"),
        _measure("kernels", 15, "kernels"),
        _measure("torch", 12, "torch"),
        _measure("l-bfgs", 18, "l-bfgs"),
    )),
    Stage("sanitizer", "races and wrong addresses, as compute-sanitizer sees them", (
        CUPY, _sanitize("racecheck"), _sanitize("memcheck"),
    )),
    Stage("torch", "PyTorch on the GPU", (
        _open("torch", "cuda:0"),
        _train(15, "torch", "cuda:0", "arrays"),
        _test("tests", 15, "torch", "torch:cuda", "tests", ARRAYS),
    )),
    Stage("jax", "JAX on the GPU", (
        _open("jax", "gpu:0"),
        _train(35, "jax", "gpu:0", "arrays"),
        _test("tests", 10, "jax", "jax:gpu and not eager", "tests", ARRAYS),
    )),
)  # fmt: skip

LOOK = Stage("look", "a first look", (
    CUPY,
    _test("tests", 20, "cupy", "on_a_device and plain", KERNEL_TESTS, KERNELS),
    _train(25, "cupy", "cuda:0", "arrays"),
    _train(15, "cupy", "cuda:0", "kernels"),
    _measure("bench", 20, "look"),
))  # fmt: skip
