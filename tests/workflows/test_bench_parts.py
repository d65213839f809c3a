"""The parts of ci/benchmark about data that are not in memory: files, clusters, the picture."""

import sys
from dataclasses import replace
from operator import add
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT))  # ci/ is no part of the package

from ci.benchmarks import cluster, contest, disk, results, shapes  # noqa: E402
from ci.benchmarks.cluster import Cut, count_tasks  # noqa: E402
from ci.benchmarks.report import report  # noqa: E402
from ci.benchmarks.results import IN_MEMORY, ON_CLUSTER, First, Way  # noqa: E402
from ci.benchmarks.timed import Pace  # noqa: E402

PACE = Pace(rounds=1, seconds=0.01)

# --- clusters ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "tasks"),
    [(1, 1), (16, 16), (17, 19), (256, 272), (257, 276), (14902, 15897)],
)
def test_values_are_merged_until_few_are_left(parts, tasks):
    assert count_tasks(parts, 16) == tasks


@pytest.mark.parametrize("parts", [1, 16, 17, 257])
def test_tasks_are_those_that_the_program_runs(parts):
    pytest.importorskip("distributed", reason="needs the extra dask")
    from neuron_xp.cluster import scheduler

    class Counted(scheduler.Cluster):
        """A cluster, and its client, that computes at once."""

        def __init__(self):
            self.client, self.fan_in, self.tasks = self, 16, 0

        def map(self, function, *iterables, **options):
            found = [function(*arguments) for arguments in zip(*iterables, strict=True)]
            self.tasks += len(found)
            return found

        def _gather(self, futures):
            return futures

    counted = Counted()
    assert counted.fold(add, [(1, 1)] * parts, add) == 2 * parts
    assert counted.tasks == count_tasks(parts, 16)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [5000, 4_000_000])
def test_the_program_takes_the_parts_as_they_are_cut(workers, rows):
    pytest.importorskip("dask.array", reason="needs the extra dask")
    from neuron_xp.cluster import parts

    cuts = cluster.make_cuts(shapes.random_shape(rows, 20), workers, many=(1, 16))
    for cut in cuts:
        inputs, targets = cut.load()  # never computed
        assert parts._part_sizes(inputs, workers) == tuple(cut.sizes()) == inputs.chunks[0]
        assert inputs.shape == (cut.shape.rows, 20)
        assert targets.shape == (cut.shape.rows, 1)
    assert [len(cut.sizes()) for cut in cuts] == [n * workers for n in (2, 2, 1, 16)]


def test_the_parts_hold_the_rows_that_are_in_memory():
    pytest.importorskip("dask.array", reason="needs the extra dask")
    shape = shapes.random_shape(300, 5)
    problem = shapes.make_problem(shape)
    cut = Cut(shape, parts=3, iterations=8)
    assert cut.sizes() == [128, 128, 44]
    for made, expected in zip(cut.load(), problem[:2], strict=True):
        assert (made.compute() == expected).all()


def measured_clusters(fingerprint="abc" * 20):
    """Made up: two rounds, the second on a slow machine."""
    ways = {
        IN_MEMORY: Way((0.1, 0.3)),
        ON_CLUSTER: Way((0.2, 0.6), parts=4, tasks=4),
        "nothing to compute, 4 tasks": Way((0.01, 0.01), parts=4, tasks=4),
        "nothing to compute, 12 tasks": Way((0.02, 0.02), parts=12, tasks=12),
        "nothing to compute, 109 tasks": Way((0.115, 0.115), parts=102, tasks=109),
    }
    firsts = {"cluster": First(fingerprint=fingerprint), "memory": First(fingerprint="abc" * 20)}
    shape = shapes.Shape("1,000 x 20", 1000, 20, 1.0)
    return results.Contest(
        "clusters", IN_MEMORY, shape, shape.input_bytes, workers=2, firsts=firsts, ways=ways
    )


def test_what_a_task_and_a_round_trip_cost():
    found = measured_clusters()
    a_task, a_round_trip = cluster.reckon_costs(found)
    assert a_task == pytest.approx((0.115 - 0.01) / (109 - 4))
    assert a_round_trip == pytest.approx(0.006)  # 10 ms less 4 tasks
    assert (found.ways[ON_CLUSTER].median, found.ratio(ON_CLUSTER)) == pytest.approx((0.4, 2))


def test_the_table_of_clusters():
    lines = report(measured_clusters()).splitlines()
    assert lines[0] == "clusters (0.16 MB), x: to iteration, in memory"
    assert lines[3].split() == [*ON_CLUSTER.split(), "400", "ms", "2", "0.0025", "0.0004", "4"]
    assert lines[4].split()[-6:] == ["10", "ms", "-", "-", "-", "4"]
    assert lines[7] == "a task takes 1 ms, a round trip 6 ms"
    assert lines[8] == "one fingerprint of the reproducible: abcabcabcabc"


def test_faults_of_clusters_are_told():
    assert contest.find_faults(measured_clusters()) == []
    (fault,) = contest.find_faults(measured_clusters("def" * 20))
    assert fault == ("clusters: DIFFERENT fingerprints: cluster defdefdefdef, memory abcabcabcabc")


def test_data_too_large_for_the_machine_are_no_fault():
    (result,) = cluster.measure(100_000, workers=(1,), many=(16,), pace=PACE, free=10**6)
    assert contest.find_faults(result) == []
    assert "needs some 0 GB" in report(result)


@pytest.mark.xdist_group("cluster")
@pytest.mark.slow
def test_a_real_cluster_beside_memory():
    pytest.importorskip("numba", reason="needs the extra fast")
    pytest.importorskip("distributed", reason="needs the extra dask")
    (result,) = cluster.measure(5000, workers=(2,), many=(10,), pace=PACE)
    assert contest.find_faults(result) == []
    on_cluster = [way for name, way in result.ways.items() if name != IN_MEMORY]
    assert [(way.parts, way.tasks) for way in on_cluster] == [(4, 4), (4, 4), (20, 22)]
    assert result.ways[ON_CLUSTER].median > 0


# --- files -------------------------------------------------------------------------------

PASSES = {  # made up: two rounds, the second on a slow machine
    "reading alone, warm": Way((0.1, 0.3), from_disk=(0, 0)),
    "reading alone, cold": Way((0.4, 1.2), from_disk=(1680, 1680)),
    "iteration, warm": Way((0.2, 0.6), from_disk=(0, 0), peak_bytes=50_000_000),
    "iteration, cold": Way((0.5, 1.5), from_disk=(1680, 1680), peak_bytes=50_000_000),
    IN_MEMORY: Way((0.1, 0.3)),
}


def measured_files(passes=PASSES):
    shape = shapes.Shape("10 x 20", 10, 20, 1.0)
    firsts = {"from disk": First(fingerprint="abc" * 20)}
    return results.Contest("files", IN_MEMORY, shape, 1680, firsts=firsts, ways=passes)


def test_the_table_of_files():
    lines = report(measured_files()).splitlines()
    assert lines[0] == "files (0.00168 MB), x: to iteration, in memory"
    assert " ".join(lines[5].split()[2:]) == "1 s 5 1e-05 1.68e-06 1 50"
    assert lines[7] == "one fingerprint of the reproducible: abcabcabcabc"


def test_what_this_system_cannot_tell_is_left_out():
    passes = {**PASSES, "iteration, warm": Way((0.2, 0.6), from_disk=(None, None))}
    assert report(measured_files(passes)).splitlines()[4].split()[-2:] == ["-", "-"]


def test_files_hold_the_rows_that_are_in_memory(tmp_path):
    shape = shapes.random_shape(250, 20)
    inputs, targets, *_ = shapes.make_problem(shape)
    paths = disk.write_files(tmp_path, shape, piece=100)
    assert (np.load(paths[0]) == inputs).all()
    assert (np.load(paths[1]) == targets).all()


@pytest.mark.slow
def test_real_files_beside_memory(tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="needs the extra fast")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = disk.measure(2000, PACE)
    assert contest.find_faults(result) == []
    assert {"reading alone, warm", "iteration, warm", IN_MEMORY} <= set(result.ways)
    assert all(way.median > 0 for way in result.ways.values())
    assert result.ways["iteration, warm"].resident_bytes > 0
    assert not list(tmp_path.iterdir())


# --- the figures and the picture -----------------------------------------------------------

FIGURES = ROOT / "ci" / "results" / "two-cores.json"


def test_figures_that_were_written_are_read_and_written_alike(tmp_path):
    results.write(results.read(FIGURES), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == FIGURES.read_text()


def test_figures_that_were_written_hold_no_faults():
    contests = [found for of in results.read(FIGURES).contests.values() for found in of]
    assert [fault for found in contests for fault in contest.find_faults(found)] == []


@pytest.mark.parametrize("parts", [True, False])
def test_the_picture_is_drawn_from_the_figures(tmp_path, parts):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from ci.benchmarks import plot

    record = results.read(FIGURES)
    if not parts:
        record = replace(record, contests={**record.contests, "disk": (), "cluster": ()})
    titles = [axes.get_title().partition(",")[0] for axes in plot.make_figure(record).axes]
    assert titles[1:] == [
        "Growth: full neuron_xp", "Growth: time / plain NumPy's", "Threads",
        *["From disk", "Cluster", "Cluster"] * parts,
    ]  # fmt: skip
    plot.draw(record, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
