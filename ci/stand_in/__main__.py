"""Compare the stand-in's names with those of a true CuPy, if there is one, and run the tests."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from ci.stand_in.compare import find_differences

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "ci" / "results" / "stand-in.json"
STAND_IN = ROOT / "ci" / "stand_in"


class Run(NamedTuple):
    """A run of pytest: what it is given, and variables of its environment."""

    arguments: list[str]
    variables: dict[str, str]


WITHOUT, WITH = ({"NEURON_XP_CUDA_KERNELS": flag} for flag in "01")
EVERYWHERE = ["--all", "tests", "-k"]
CHECKS = "tests/estimator/array_api_checks.py"
RUNS = {
    "the stand-in itself": Run(["ci/stand_in/test_stand_in.py"], WITHOUT),
    "array operations": Run([*EVERYWHERE, "cupy"], WITHOUT),
    "kernels": Run([*EVERYWHERE, "cupy and not :arrays"], WITH),  # those ran above
    "kernels alone": Run(["tests/backends/cuda", "-k", "on_a_device"], WITH),
    # which takes arrays of other libraries only where SciPy does
    "scikit-learn": Run([CHECKS, "-k", "cupy"], WITH | {"SCIPY_ARRAY_API": "1"}),
}


def main() -> int:
    names = sys.argv[1:] or list(RUNS)
    if unknown := sorted(set(names) - set(RUNS)):
        sys.exit(f"unknown run {unknown[0]!r}; choose from {', '.join(map(repr, RUNS))}")
    before = json.loads(RECORD.read_text("utf-8"))["runs"] if RECORD.exists() else {}
    runs = before | {name: run_tests(name, RUNS[name]) for name in names}
    record: dict[str, Any] = {
        "what": "tests on a stand-in for CuPy, kernels run by the host; no GPU had a part in it",
        "versions": find_versions(),
        "names": compare_names(),
        "runs": {name: runs[name] for name in RUNS if name in runs},
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    failed = [name for name, run in record["runs"].items() if run["failed"] or not run["passed"]]
    differences = record["names"].get("unlike CuPy's", [])
    for problem, names in (("failed", failed), ("not as CuPy has it", differences)):
        if names:
            print(f"{problem}: {', '.join(names)}")
    return int(bool(failed or differences))


def find_versions() -> dict[str, str]:
    packages = ["numpy", "array-api-compat", "pytest"]
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def compare_names() -> dict[str, Any]:
    """Compare with the CuPy that is installed here, which needs no GPU to be imported."""
    for package in ("cupy-cuda13x", "cupy-cuda12x"):
        try:
            true_version = version(package)
        except PackageNotFoundError:
            continue
        ours, theirs = (
            json.loads(
                subprocess.run(
                    [sys.executable, "-m", "ci.stand_in.compare"],
                    cwd=ROOT, env=make_environment(stand_in=stand_in), check=True,
                    stdout=subprocess.PIPE,
                ).stdout
            )
            for stand_in in (True, False)
        )  # fmt: skip
        differences = find_differences(ours, theirs)
        count = sum(map(len, ours.values()))
        print(f"names: {count}, {len(differences)} not as {package} {true_version} has them")
        return {"beside": f"{package} {true_version}", "names": count, "unlike CuPy's": differences}
    print("names: not compared, as no CuPy is installed here")
    return {"beside": "not compared, as no CuPy was installed"}


def make_environment(*, stand_in: bool) -> dict[str, str]:
    paths = [str(STAND_IN)] * stand_in + [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "NEURON_XP_TEST_BACKENDS": "numpy,cupy",
    }


def run_tests(name: str, run: Run) -> dict[str, Any]:
    """Run pytest, and return how many tests passed, failed and were skipped."""
    print(f"{name}: pytest {' '.join(run.arguments)}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options, *run.arguments]
        environment = make_environment(stand_in=True) | run.variables
        subprocess.run(command, cwd=ROOT, env=environment, check=False)
        if not report.exists():
            sys.exit(f"{name}: pytest has left no report")
        cases = ET.parse(report).getroot().iter("testcase")
        outcomes = [next((child.tag for child in case), "passed") for case in cases]
    failed = sum(outcome in ("failure", "error") for outcome in outcomes)
    skipped = outcomes.count("skipped")
    return {
        "passed": len(outcomes) - failed - skipped,
        "failed": failed,
        "skipped": skipped,
        "seconds": round(time.monotonic() - started),
    }


if __name__ == "__main__":
    sys.exit(main())
