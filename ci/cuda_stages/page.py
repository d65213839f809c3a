"""The page in words, of the lines that the stages have told: FOLDER/cuda.md."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ci.cuda_stages.lines import Line, last_run
from ci.cuda_stages.runner import DONE

MOST = 20
"""Failures of a stage that are shown; all are in the lines."""


def write(lines: list[Line], commit: str) -> str:
    """Write the page, with the last run of each stage."""
    stages = last_run(lines)
    parts = [
        "# neuron_xp on a CUDA GPU",
        f"Written by `python3 ci/cuda` at {commit}. Every result is a line of `results.jsonl`.",
        describe_libraries(stages),
        "## How the stages ended\n\n" + table(
            ("stage", "begun (UTC)", "part", "ended", "seconds"),
            (row for found in stages.values() for row in list_ends(found)),
        ),
    ]  # fmt: skip
    for name, found in stages.items():
        sections = [describe_tests(found), describe_trainings(found), describe_times(found),
                    describe_tails(found)]  # fmt: skip
        if any(sections):
            parts += [f"## {name}: {found[0].get('about', '')}", *filter(None, sections)]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(escape(str(cell)) for cell in row) + " |" for row in lines)


def escape(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def of_kind(found: Iterable[Line], kind: str) -> list[Line]:
    return [line for line in found if line["kind"] == kind]


def describe_libraries(stages: dict[str, list[Line]]) -> str:
    """Write what was opened: the GPU, the driver, versions."""
    opened = {line["library"]: line for found in stages.values()
              for line in of_kind(found, "library")}  # fmt: skip
    if not opened:
        return "No library opened on a GPU: nothing was seen of one."
    hidden = {"stage", "part", "kind", "library"}
    rows = [
        (
            name,
            ", ".join(f"{key} {show(value)}" for key, value in line.items() if key not in hidden),
        )
        for name, line in opened.items()
    ]
    return table(("library", "what it tells"), rows)


def show(value: object) -> str:
    """Write a number of bytes, or anything else, shortly."""
    is_bytes = isinstance(value, int) and value > 10**8
    return f"{value / 1e9:.1f} GB" if is_bytes else str(value)  # type: ignore[operator]


def list_ends(found: list[Line]) -> list[tuple[object, ...]]:
    """List how each part ended; one that has not was under way when the page was written."""
    begin = found[0]
    ends = of_kind(found, "end")
    rows = [(begin["stage"], begin.get("date", "?"), e["part"], e["ended"], e["seconds"])
            for e in ends]  # fmt: skip
    under_way = {line["part"] for line in found if line.get("part")} - {e["part"] for e in ends}
    return rows + [(begin["stage"], begin.get("date", "?"), part, "not ended", "")
                   for part in sorted(under_way)]  # fmt: skip


def describe_tests(found: list[Line]) -> str:
    """Count the tests of each part, and show those that failed."""
    tests, rows = of_kind(found, "test"), []
    for collected in of_kind(found, "collected"):
        part = collected["part"]
        # a test that fails and then fails to tidy up is told of twice
        outcomes = {t["name"]: t["outcome"] for t in tests if t["part"] == part}
        counts = Counter(outcomes.values())
        missing = collected["count"] - sum(n for o, n in counts.items() if o != "not collected")
        rows.append((part, collected["count"], counts["passed"], counts["failed"],
                     counts["skipped"], missing, counts["not collected"]))  # fmt: skip
    if not rows and not tests:
        return ""
    header = ("part", "tests", "passed", "failed", "skipped", "not reached", "files not collected")
    # one cause may have many effects: they share a line
    causes: dict[tuple[str, ...], list[str]] = {}
    for test in tests:
        if test["outcome"] != "passed":
            key = test["outcome"], test["part"], test["why"]
            causes.setdefault(key, []).append(test["name"])
    lines = [
        f"{outcome}: {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''} ({part}): {why}"
        for (outcome, part, why), names in sorted(causes.items())
    ]
    return "\n\n".join(filter(None, [table(header, rows), bullets(lines)]))


def bullets(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return "\n".join(f"- {escape(line)}" for line in [*lines[:MOST], *more])


def describe_trainings(found: list[Line]) -> str:
    """Write a row for each place, as `neuron-xp matrix` does, and what was not as published."""
    places: dict[tuple[str, ...], list[Line]] = {}
    for line in of_kind(found, "training"):
        key = tuple(line[k] for k in ("backend", "version", "device", "engine", "arithmetic"))
        places.setdefault(key, []).append(line)
    if not places:
        return ""
    rows = []
    for key, lines in places.items():
        known = [line for line in lines if line["same"] is not None]
        same = f"{sum(line['same'] for line in known)} of {len(known)}" if known else "-"
        ulps = [line["ulp"] for line in lines if line["ulp"] is not None]
        seconds = f"{sum(line['seconds'] for line in lines):.2f}"
        rows.append((*key, same, max(ulps, default="-"), seconds))
    header = ("backend", "version", "device", "engine", "arithmetic", "same bits", "ulp", "seconds")
    wrong = [
        f"{line['case']} on {line['backend']}, {line['engine']}, {line['arithmetic']}: "
        + (line["failure"] or f"DIFFERENT: {line['fingerprint']}")
        for lines in places.values() for line in lines
        if line["failure"] or line["same"] is False
    ]  # fmt: skip
    return "\n\n".join(filter(None, [table(header, rows), bullets(wrong)]))


def describe_times(found: list[Line]) -> str:
    """Write a row for each contender on each shape, and whether its bits are the others'."""
    times = of_kind(found, "time")
    if not times:
        return ""
    plain = {t["shape"]: t["seconds"] for t in times
             if t["contender"] == "plain CuPy" and "seconds" in t}  # fmt: skip
    rows, wrong = [], []
    for shape in dict.fromkeys(t["shape"] for t in times):
        of_shape = [t for t in times if t["shape"] == shape]
        bits = {t["fingerprint"] for t in of_shape if t.get("fingerprint")}
        if len(bits) > 1:
            told = ", ".join(f"{t['contender']} {t['fingerprint'][:12]}" for t in of_shape
                             if t.get("fingerprint"))  # fmt: skip
            wrong.append(f"{shape}: DIFFERENT bits: {told}")
        for t in of_shape:
            if "failure" in t:
                wrong.append(f"{shape}, {t['contender']}: {t['failure']}")
            elif "seconds" in t:
                ratio = f"{t['seconds'] / plain[shape]:.3g}" if shape in plain else "-"
                rows.append((shape, t["contender"], format_seconds(t["seconds"]), ratio,
                             f"{t['gigabytes_per_second']:.3g}", f"{t['first_call']:.2f}",
                             (t["fingerprint"] or "-")[:12]))  # fmt: skip
            else:
                rows.append((shape, t["contender"], "-", "-", "-", "-", t["fingerprint"][:12]))
    header = ("shape", "who", "an iteration", "x plain", "GB/s", "first call s", "bits")
    about = ("GB/s: of the inputs, as if an iteration read them once; a look at loss and gradient "
             "is L-BFGS's iteration, and its first call making the data.")  # fmt: skip
    copies = [
        f"A copy within the GPU's memory reads and writes {line['gigabytes_per_second']:.0f} GB/s."
        for line in of_kind(found, "copy")
    ]
    return "\n\n".join(filter(None, [table(header, rows), about, *copies, bullets(wrong)]))


def format_seconds(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def describe_tails(found: list[Line]) -> str:
    """Show the last lines of a part that did not end well, unless all of it was told before."""
    with_tests = {line["part"] for line in of_kind(found, "test")}
    return "\n\n".join(
        f"The last lines of {end['part']} ({escape(end['ended'])}):\n\n```\n{end['tail']}\n```"
        for end in of_kind(found, "end")
        if end["ended"] != DONE and end["tail"] not in end["ended"]
        if not (end["part"] in with_tests and end["ended"] == "ended with status 1")
    )
