"""ci/cuda's runner: whatever a part does, it is a result, and the next is run."""

import os
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # ci/ is no part of the package

from ci.cuda_stages import lines, plan, runner  # noqa: E402
from ci.cuda_stages.runner import DONE, NOT_RUN, Part, Runner, Stage  # noqa: E402


def part(name, program, seconds=20.0, **options):
    return Part(name, seconds, (sys.executable, "-c", program), **options)


def run(tmp_path, *stages):
    """Run stages of parts; return the status, and how each part ended."""
    said = []
    of = Runner(tmp_path, ROOT, say=said.append)
    named = [Stage(f"stage {i}", "nothing", parts) for i, parts in enumerate(stages)]
    status = of.run(named, after_each=lambda: None)
    found = lines.read(of.file)
    ends = {(line["stage"], line["part"]): line for line in found if line["kind"] == "end"}
    return status, {name: line["ended"] for (_, name), line in ends.items()}, found


TELLS = "from ci.cuda_stages.lines import tell; tell('training', case='a')"


def test_what_a_part_tells_is_a_line_and_names_its_place(tmp_path):
    status, ends, found = run(tmp_path, [part("one", TELLS), part("two", "print('hello')")])
    assert (status, ends) == (0, {"one": DONE, "two": DONE})
    told = {"stage": "stage 0", "part": "one", "kind": "training", "case": "a"}
    assert [line["kind"] for line in found] == ["begin", "training", "end", "end"]
    assert found[1] == told
    assert (tmp_path / "stage-0-two.log").read_text() == "hello\n"


ENDS = {
    "raises": ("print('so far'); raise OSError('no device')", "ended with status 1"),
    "says a status": ("raise SystemExit(5)", "ended with status 5"),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    "crashes": ("import os; os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
    "has nothing to do": ("print('no tool'); raise SystemExit(77)", "left out: no tool"),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals, and nobody runs it there")
@pytest.mark.parametrize("way", ENDS)
def test_however_a_part_ends_is_a_result_and_the_next_is_run(tmp_path, way):
    program, expected = ENDS[way]
    status, ends, found = run(tmp_path, [part("bad", TELLS + "\n" + program), part("next", "")])
    assert ends == {"bad": expected, "next": DONE}
    assert status == (0 if expected.startswith("left out") else 1)
    assert found[1]["case"] == "a"
    if way == "raises":
        assert found[2]["tail"].splitlines()[0] == "so far"
        assert found[2]["tail"].splitlines()[-1] == "OSError: no device"


def test_a_program_that_is_not_there_is_a_result(tmp_path):
    missing = Part("bad", 5, (str(tmp_path / "nothing"),))
    status, ends, _ = run(tmp_path, [missing, part("next", "")])
    assert ends["bad"].startswith("could not be started: ")
    assert (status, ends["next"]) == (1, DONE)


HANGS = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
{TELLS.replace("case='a'", "case=child.pid")}
time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals, and nobody runs it there")
def test_a_part_that_hangs_is_stopped_with_all_that_it_has_started(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SECONDS_TO_END", 0.2)
    started = time.monotonic()
    status, ends, found = run(tmp_path, [part("hangs", HANGS, 3), part("next", "", 3)])
    assert time.monotonic() - started < 30
    assert (status, ends) == (1, {"hangs": "stopped after 3 seconds", "next": DONE})
    child = found[1]["case"]
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_what_a_stage_needs_its_rest_is_not_run_and_that_is_tried_once(tmp_path):
    program = f"from pathlib import Path; Path({str(tmp_path / 'tries')!r}).open('a').write('.')"
    opens = part("opens", program + "; raise SystemExit('no GPU')", opens=True)
    status, ends, found = run(
        tmp_path, [opens, part("a", "")], [opens, part("b", "")], [part("c", "")]
    )
    failed = "ended with status 1: no GPU"
    assert ends == {"opens": failed, "a": NOT_RUN, "b": NOT_RUN, "c": DONE}
    assert status == 1
    assert [line["part"] for line in found if line["kind"] == "end"].count("opens") == 2
    assert (tmp_path / "tries").read_text() == "."


def test_what_is_missing_with_its_stage_is_no_failure_but_nothing_at_all_is(tmp_path):
    missing = part("opens", "print('no torch'); raise SystemExit(77)", opens=True)
    status, ends, _ = run(tmp_path, [missing, part("a", "")], [part("b", "")])
    assert ends == {"opens": "left out: no torch", "a": "left out, too", "b": DONE}
    assert status == 0
    assert run(tmp_path, [missing, part("a", "")])[0] == 1


def test_seconds_that_are_left_are_for_the_next_part_and_no_more_than_twice_its_own(tmp_path):
    said = []
    of = Runner(tmp_path, ROOT, say=said.append)
    of.run([Stage("s", "", (part("a", "", 20), part("b", "", 3), part("c", "", 90)))], list)
    limits = [int(line.split()[-2]) for line in said if "at most" in line]
    assert limits[:2] == [20, 6]
    assert 90 < limits[2] <= 113


def test_the_whole_plan_fits_eight_minutes_and_a_first_look_ninety_seconds():
    assert sum(stage.seconds for stage in plan.STAGES) == 460
    assert plan.LOOK.seconds == 90
    commands = [part.command for stage in (*plan.STAGES, plan.LOOK) for part in stage.parts]
    modules = {word for words in commands for word in words if word.startswith("ci.cuda_stages.")}
    assert modules == {
        f"ci.cuda_stages.{name}" for name in ("bench", "opens", "recorder", "sanitize", "trainings")
    }
