"""The parts of ci/benchmark about data that are not in memory: files, clusters, the model."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # ci/ is no part of the package

from ci.benchmarks import cluster, disk, model, shapes


def quiet(line):
    """Say nothing."""


# --- the model on paper ------------------------------------------------------------------

SMALL = model.Cluster(workers=2, threads=3, rows=6400, features=5)
COSTS = model.Costs(row=1e-6, task=1e-3, round_trip=1e-2)


def test_an_iteration_worked_out_by_hand():
    constants = model.Constants(fan_in=4, parts_a_thread=2, largest_part=10**9, leaf=64)
    # 2 * 3 threads, 2 parts each: 12. 6400 rows are 100 leaves, 8.3 a part: 9, of 576 rows.
    # 12 tasks, merged by fours: 3 tasks, and these by the client. A thread has 2 parts, a worker 6.
    assert model.iteration(SMALL, COSTS, constants) == {
        "parts": 12,
        "rows_of_a_part": 576,
        "tasks": 15,
        "tree_depth": 1,
        "bytes_sent": 12 * 5 * 8,
        "bytes_brought": 15 * 5 * 32,
        "seconds_computing": pytest.approx(0.001152),  # 2 * 576 rows
        "seconds_scheduling": pytest.approx(0.015),
        "seconds": pytest.approx(0.001152 + 0.015 + 0.02),  # a round trip for each level
        "least_seconds": pytest.approx(0.015 + 0.01),
        "worker_bytes": 6 * 576 * 6 * 8,  # with the targets
    }


def test_large_data_are_cut_into_more_parts():
    constants = model.Constants(fan_in=4, parts_a_thread=2, largest_part=10_000, leaf=64)
    # 256,000 bytes in parts of 10,000: 26, of 3.8 leaves: 4, which makes 25; then 7, then 2
    found = model.iteration(SMALL, COSTS, constants)
    assert (found["rows_of_a_part"], found["parts"]) == (256, 25)
    assert (found["tasks"], found["tree_depth"]) == (25 + 7 + 2, 2)


@pytest.mark.parametrize(
    ("parts", "levels"),
    [(1, [1]), (16, [16]), (17, [17, 2]), (256, [256, 16]), (257, [257, 17, 2])],
)
def test_values_are_merged_until_few_are_left(parts, levels):
    assert model.levels(parts, 16) == levels


@pytest.mark.parametrize(("workers", "threads", "rows"), [(2, 1, 4_000_000), (100, 16, 10**11)])
def test_the_model_cuts_as_the_program_does(workers, threads, rows):
    da = pytest.importorskip("dask.array", reason="needs the extra dask")
    from neuron_xp.cluster import parts as distributed

    inputs = da.empty((rows, 20), chunks=(rows // 2 | 1, 20))  # never computed
    there = model.Cluster(workers, threads, rows, 20)
    found = model.iteration(there, COSTS, model.program_constants())
    parts = distributed._rows(inputs, workers * threads)
    assert (found["parts"], found["rows_of_a_part"]) == (len(parts), parts[0])


def threads_as_measured():
    row = {"rounds": [0.02], "median": 0.02}
    return [{"threads": 1, "shape": {"rows": 10**6}, "contenders": {model.KERNELS: row}}]


def test_the_model_begins_with_what_was_measured():
    result = model.modelled(threads_as_measured(), measured_clusters())
    assert result["costs"] == pytest.approx({"row": 2e-8, "task": 1e-3, "round_trip": 0.006})
    lines = model.report(result).splitlines()
    assert lines[0].startswith("A MODEL ON PAPER, NOT MEASURED: 100 workers of 16 threads, 1e+11")
    assert "It leaves out: networks" in model.report(result)
    assert model.modelled([], measured_clusters())["failed"]


# --- clusters ----------------------------------------------------------------------------


def measured_clusters(fingerprint="abc" * 20):
    """Made up: two rounds, the second on a slow machine."""

    def found(parts, tasks, seconds):
        return {"parts": parts, "tasks": tasks, "seconds": seconds}

    rounds = [
        {"memory": slow * 0.1, "large": found(4, 4, slow * 0.2), "tiny": found(4, 4, 0.01),
         "many": [found(12, 12, 0.02), found(102, 109, 0.115)]}
        for slow in (1, 3)
    ]  # fmt: skip
    return {
        "shape": {"name": "1,000 x 20"},
        "cores": 2,
        "memory": "abc" * 20,
        "workers": {"2": cluster.summarized(1000, fingerprint, rounds)},
        "too_large": None,
        "failed": None,
    }


def test_what_a_task_and_a_round_trip_cost():
    row = measured_clusters()["workers"]["2"]
    assert row["seconds_a_task"] == pytest.approx((0.115 - 0.01) / (109 - 4))
    assert row["seconds_a_round_trip"] == pytest.approx(0.006)  # 10 ms less 4 tasks
    assert (row["large"]["median"], row["ratio_to_memory"]) == pytest.approx((0.4, 2))
    assert row["rows_per_second"] == pytest.approx(2500)


def test_the_table_of_clusters():
    lines = cluster.report(measured_clusters()).splitlines()
    assert lines[0] == "cluster: 1,000 x 20, one thread a worker, 2 cores"
    assert " ".join(lines[2].split()) == "2 4 10 ms 400 ms 0.0025 2 1 ms 6 ms"
    assert lines[3] == "one fingerprint, in memory too: abcabcabcabc"


def test_faults_of_clusters_are_told():
    assert cluster.faults(measured_clusters()) == []
    (fault,) = cluster.faults(measured_clusters("def" * 20))
    assert "DIFFERENT fingerprints: 2 workers defdefdefdef, in memory abcabcabcabc" in fault
    failed = {**measured_clusters(), "failed": "ended with status -9"}
    assert cluster.faults(failed) == ["cluster: ended with status -9"]
    assert cluster.report(failed).endswith("no figures, ended with status -9")


def test_data_too_large_for_the_machine_are_no_fault(monkeypatch):
    monkeypatch.setattr(cluster, "free_bytes", lambda: 10**6)
    result = cluster.measured(True, 1, 0.01, quiet)
    assert cluster.faults(result) == []
    assert "needs some 0 GB of memory" in cluster.report(result)
    assert model.faults(model.modelled(threads_as_measured(), result), result) == []


def test_clusters_that_run_other_tasks_than_the_model_counts_are_a_fault():
    measured = measured_clusters()
    result = model.modelled(threads_as_measured(), measured)
    assert model.faults(result, measured) == []  # 102 parts: 102 + 7
    measured["workers"]["2"]["many"][-1]["tasks"] = 102
    assert model.faults(result, measured) == [
        "model: 102 parts make 109 tasks on paper, and 102 on the cluster"
    ]


@pytest.mark.xdist_group("cluster")
@pytest.mark.slow
def test_a_real_cluster_beside_memory(monkeypatch):
    pytest.importorskip("numba", reason="needs the extra fast")
    pytest.importorskip("distributed", reason="needs the extra dask")
    monkeypatch.setattr(cluster, "QUICK_ROWS", 5000)
    monkeypatch.setattr(cluster, "QUICK_MANY", (20,))
    result = cluster.measured(True, 1, 0.01, quiet)
    assert cluster.faults(result) == []
    row = result["workers"]["1"]
    assert [row[name]["tasks"] for name in ("large", "tiny")] == [2, 2]
    assert [(of["parts"], of["tasks"]) for of in row["many"]] == [(20, 22)]
    assert row["large"]["median"] > 0


# --- files -------------------------------------------------------------------------------


def measured_files():
    """Made up: two rounds, the second on a slow machine."""
    passes = {
        "reading alone, warm": ([0.1, 0.3], [0, 0]),
        "reading alone, cold": ([0.4, 1.2], [1680, 1680]),
        "iteration, warm": ([0.2, 0.6], [0, 0]),
        "iteration, cold": ([0.5, 1.5], [1680, 1680]),
        disk.IN_MEMORY: ([0.1, 0.3], [0, 0]),
    }
    return {
        "shape": {"name": "10 x 20", "rows": 10},
        "wanted_rows": 10,
        "bytes": 1680,
        "failed": None,
        "fingerprints": {"from disk": "abc" * 20, "in memory": "abc" * 20},
        "passes": {name: {"rounds": of, "from_disk": n} for name, (of, n) in passes.items()},
        "resident_before": 150_000_000,
        "peak_bytes": 200_000_000,
    }


def test_ratios_are_to_reading_in_the_same_state():
    passes = disk.summarized(measured_files())["passes"]
    cold = passes["iteration, cold"]
    assert (cold["median"], cold["ratio_to_reading"]) == pytest.approx((1, 1.25))
    assert (cold["ratio_to_memory"], cold["share_from_disk"]) == pytest.approx((5, 1))
    assert cold["rows_per_second"] == pytest.approx(10)
    assert passes[disk.IN_MEMORY]["ratio_to_reading"] is None


def test_the_table_of_files():
    lines = disk.report(disk.summarized(measured_files())).splitlines()
    assert lines[0] == "from disk: 10 x 20, 1.68e-06 GB, max_memory=256MB"
    assert " ".join(lines[5].split()[2:]) == "1 s 1e-05 1.68e-06 100% 1.25 5"
    assert lines[7] == "the reading process held 200 MB at most, 50 MB more than before it trained"
    assert lines[8] == "one fingerprint: abcabcabcabc"


def test_what_this_system_cannot_tell_is_left_out():
    result = {**measured_files(), "wanted_rows": 1000}
    passes = {name: of for name, of in result["passes"].items() if "cold" not in name}
    passes["iteration, warm"]["from_disk"] = [None, None]
    said = disk.report(disk.summarized({**result, "passes": passes}))
    assert "(there is no room for 1,000 rows)" in said
    assert "cold is left out: this system has no posix_fadvise" in said
    assert said.splitlines()[3].split()[-3:] == ["-", "2", "2"]


def test_faults_of_files_are_told():
    result = measured_files()
    assert disk.faults(result) == []
    result["fingerprints"]["in memory"] = "def" * 20
    assert "DIFFERENT fingerprints: from disk abcabcabcabc" in disk.faults(result)[0]
    assert disk.faults({**result, "failed": "no room"}) == ["from disk: no room"]


def test_files_hold_the_rows_that_are_in_memory_and_are_removed(monkeypatch):
    monkeypatch.setattr(disk, "WRITTEN", 100)
    shape = shapes.random_shape(250, 20)
    inputs, targets, *_ = shapes.problem(shape)
    with disk.files(shape) as paths:
        assert (np.load(paths[0]) == inputs).all()
        assert (np.load(paths[1]) == targets).all()
    assert not paths[0].parent.exists()


def test_files_are_smaller_where_there_is_little_room(monkeypatch, tmp_path):
    row = disk.row_bytes()
    free = SimpleNamespace(free=1000 * disk.SHARE_OF_DISK * row)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: free)
    monkeypatch.setattr(disk, "free_bytes", lambda: float("inf"))
    assert disk.rows_with_room(500, tmp_path) == 500
    assert disk.rows_with_room(5000, tmp_path) == 1000
    monkeypatch.setattr(disk, "free_bytes", lambda: 300 * disk.SHARE_OF_MEMORY * row)
    assert disk.rows_with_room(5000, tmp_path) == 300


@pytest.mark.slow
def test_real_files_beside_memory(monkeypatch):
    pytest.importorskip("numba", reason="needs the extra fast")
    monkeypatch.setattr(disk, "QUICK_ROWS", 2000)
    result = disk.measured(True, 1, 0.01, quiet)
    assert disk.faults(result) == []
    names = {"reading alone, warm", "iteration, warm", disk.IN_MEMORY}
    assert names <= set(result["passes"])
    assert all(row["median"] > 0 for row in result["passes"].values())
    assert result["peak_bytes"] >= result["resident_before"]


# --- the picture ----------------------------------------------------------------------


def test_the_picture_has_a_row_for_them(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from matplotlib.figure import Figure

    from ci.benchmarks import plot_parts

    record = {"disk": disk.summarized(measured_files()), "cluster": measured_clusters()}
    assert plot_parts.has_figures(record)
    assert not plot_parts.has_figures({})
    figure = Figure()
    plot_parts.draw(figure, record)
    figure.savefig(tmp_path / "picture.png")
    assert [axes.get_title().partition(",")[0] for axes in figure.axes] == [
        "From disk", "Cluster", "Cluster",
    ]  # fmt: skip
