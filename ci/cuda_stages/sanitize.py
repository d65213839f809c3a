"""Some kernels under compute-sanitizer: python -m ci.cuda_stages.sanitize racecheck PYTEST..."""

import os
import shutil
import sys
from pathlib import Path

from ci.cuda_stages.runner import LEFT_OUT

PLACES = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer")
# several layers of several neurons: every loop of the kernels, in few rows
CHOSEN = ("tests/backends/cuda", "-k", "on_a_device and 100- and plain")


def main() -> None:
    tool, *command = sys.argv[1:]
    path = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    program = shutil.which("compute-sanitizer", path=path)
    if program is None:
        print("compute-sanitizer is not here; it comes with CUDA's toolkit")
        sys.exit(LEFT_OUT)
    options = ["--tool", tool, "--error-exitcode", "9", "--target-processes", "all"]
    os.execv(program, [Path(program).name, *options, *command, *CHOSEN])


if __name__ == "__main__":
    main()
