"""The parts of ci/benchmark about data that are not in memory: files, clusters, the picture."""

import sys
from dataclasses import replace
from operator import add
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT))  # ci/ is no part of the package

from ci.benchmarks import cluster, disk, results, shapes  # noqa: E402
from ci.benchmarks.cluster_worker import Cut, count_tasks  # noqa: E402
from ci.benchmarks.disk_worker import First, Pass  # noqa: E402
from ci.benchmarks.timed import Pace  # noqa: E402

PACE = Pace(rounds=1, seconds=0.01, say=lambda line: None)

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
    cuts = [
        results.CutResult(4, 4, (0.2, 0.6), 0.4),
        results.CutResult(4, 4, (0.01, 0.01), 0.01),
        results.CutResult(12, 12, (0.02, 0.02), 0.02),
        results.CutResult(102, 109, (0.115, 0.115), 0.115),
    ]
    workers = {"2": cluster.summarize(1000, fingerprint, cuts, (0.1, 0.3))}
    shape = shapes.Shape("1,000 x 20", 1000, 20, 1.0)
    return results.ClusterResult(shape, 2, 1000, memory="abc" * 20, workers=workers)


def test_what_a_task_and_a_round_trip_cost():
    found = measured_clusters().workers["2"]
    assert found.seconds_a_task == pytest.approx((0.115 - 0.01) / (109 - 4))
    assert found.seconds_a_round_trip == pytest.approx(0.006)  # 10 ms less 4 tasks
    assert (found.large.median, found.ratio_to_memory) == pytest.approx((0.4, 2))
    assert found.rows_per_second == pytest.approx(2500)


def test_the_table_of_clusters():
    lines = cluster.report(measured_clusters()).splitlines()
    assert lines[0] == "cluster: 1,000 x 20, one thread a worker, 2 cores"
    assert " ".join(lines[2].split()) == "2 4 10 ms 400 ms 0.0025 2 1 ms 6 ms"
    assert lines[3] == "one fingerprint, in memory too: abcabcabcabc"


def test_faults_of_clusters_are_told():
    assert cluster.find_faults(measured_clusters()) == []
    (fault,) = cluster.find_faults(measured_clusters("def" * 20))
    assert "DIFFERENT fingerprints: 2 workers defdefdefdef, in memory abcabcabcabc" in fault
    failed = replace(measured_clusters(), failed="ended with status -9")
    assert cluster.find_faults(failed) == ["cluster: ended with status -9"]
    assert cluster.report(failed).endswith("no figures, ended with status -9")


def test_data_too_large_for_the_machine_are_no_fault():
    result = cluster.measure(100_000, workers=(1,), many=(16,), pace=PACE, free=10**6)
    assert cluster.find_faults(result) == []
    assert "needs some 0 GB of memory" in cluster.report(result)


@pytest.mark.xdist_group("cluster")
@pytest.mark.slow
def test_a_real_cluster_beside_memory():
    pytest.importorskip("numba", reason="needs the extra fast")
    pytest.importorskip("distributed", reason="needs the extra dask")
    result = cluster.measure(5000, workers=(2,), many=(10,), pace=PACE)
    assert cluster.find_faults(result) == []
    found = result.workers["2"]
    assert [(cut.parts, cut.tasks) for cut in (found.large, found.tiny)] == [(4, 4), (4, 4)]
    assert [(cut.parts, cut.tasks) for cut in found.many] == [(20, 22)]
    assert found.large.median > 0


# --- files -------------------------------------------------------------------------------

PASSES = {  # made up: two rounds, the second on a slow machine
    "reading alone, warm": [Pass(0.1, 0), Pass(0.3, 0)],
    "reading alone, cold": [Pass(0.4, 1680), Pass(1.2, 1680)],
    "iteration, warm": [Pass(0.2, 0), Pass(0.6, 0)],
    "iteration, cold": [Pass(0.5, 1680), Pass(1.5, 1680)],
    disk.IN_MEMORY: [Pass(0.1, 0), Pass(0.3, 0)],
}


def measured_files(passes=PASSES, wanted=10, in_memory="abc" * 20):
    result = results.DiskResult(shapes.Shape("10 x 20", 10, 20, 1.0), wanted, "256MB", 1680)
    first = First("abc" * 20, resident_before=150_000_000)
    return disk.summarize(result, first, in_memory, passes, peak_bytes=200_000_000)


def test_ratios_are_to_reading_in_the_same_state():
    passes = measured_files().passes
    cold = passes["iteration, cold"]
    assert (cold.median, cold.ratio_to_reading) == pytest.approx((1, 1.25))
    assert (cold.ratio_to_memory, cold.share_from_disk) == pytest.approx((5, 1))
    assert cold.rows_per_second == pytest.approx(10)
    assert passes[disk.IN_MEMORY].ratio_to_reading is None


def test_the_table_of_files():
    lines = disk.report(measured_files()).splitlines()
    assert lines[0] == "from disk: 10 x 20, 1.68e-06 GB, max_memory=256MB"
    assert " ".join(lines[5].split()[2:]) == "1 s 1e-05 1.68e-06 100% 1.25 5"
    assert lines[7] == "the reading process held 200 MB at most, 50 MB more than before it trained"
    assert lines[8] == "one fingerprint: abcabcabcabc"


def test_what_this_system_cannot_tell_is_left_out():
    passes = {name: of for name, of in PASSES.items() if "cold" not in name}
    passes["iteration, warm"] = [Pass(0.2, None), Pass(0.6, None)]
    said = disk.report(measured_files(passes, wanted=1000))
    assert "(there is no room for 1,000 rows)" in said
    assert "cold is left out: this system has no posix_fadvise" in said
    assert said.splitlines()[3].split()[-3:] == ["-", "2", "2"]


def test_faults_of_files_are_told():
    assert disk.find_faults(measured_files()) == []
    (fault,) = disk.find_faults(measured_files(in_memory="def" * 20))
    assert "DIFFERENT fingerprints: from disk abcabcabcabc" in fault
    failed = replace(measured_files(), failed="no room")
    assert disk.find_faults(failed) == ["from disk: no room"]


def test_files_hold_the_rows_that_are_in_memory_and_are_removed():
    shape = shapes.random_shape(250, 20)
    inputs, targets, *_ = shapes.make_problem(shape)
    with disk.write_files(shape, piece=100) as paths:
        assert (np.load(paths[0]) == inputs).all()
        assert (np.load(paths[1]) == targets).all()
    assert not paths[0].parent.exists()


def test_files_are_smaller_where_there_is_little_room():
    row = disk.ROW_BYTES
    on_disk = 1000 * disk.SHARE_OF_DISK * row
    assert disk.count_rows_with_room(500, on_disk, float("inf")) == 500
    assert disk.count_rows_with_room(5000, on_disk, float("inf")) == 1000
    in_memory = 300 * disk.SHARE_OF_MEMORY * row
    assert disk.count_rows_with_room(5000, on_disk, in_memory) == 300


@pytest.mark.slow
def test_real_files_beside_memory():
    pytest.importorskip("numba", reason="needs the extra fast")
    result = disk.measure(2000, PACE)
    assert disk.find_faults(result) == []
    names = {"reading alone, warm", "iteration, warm", disk.IN_MEMORY}
    assert names <= set(result.passes)
    assert all(found.median > 0 for found in result.passes.values())
    assert result.peak_bytes >= result.resident_before


# --- the figures and the picture -----------------------------------------------------------

FIGURES = ROOT / "ci" / "results" / "two-cores.json"


def test_figures_that_were_written_are_read_and_written_alike(tmp_path):
    results.write(results.read(FIGURES), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == FIGURES.read_text()


def test_faults_of_every_section_count():
    from ci.benchmarks.__main__ import find_faults

    record = results.read(FIGURES)
    assert find_faults(record) == []
    shape = replace(record.shapes[0], left_out={"torch": "gone"})
    record = replace(
        record,
        shapes=(shape,),
        growth=results.Growth((shape,), (shape,)),
        disk=replace(record.disk, failed="no room"),
        cluster=replace(record.cluster, memory="other"),
    )
    *torch, no_room, different = find_faults(record)
    assert torch == ["article: torch is left out: gone"] * 3
    assert no_room == "from disk: no room"
    assert different.startswith("cluster: DIFFERENT fingerprints")


@pytest.mark.parametrize("parts", [True, False])
def test_the_picture_is_drawn_from_the_figures(tmp_path, parts):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from ci.benchmarks import plot

    record = results.read(FIGURES)
    if not parts:
        no_disk, no_cluster = replace(record.disk, passes={}), replace(record.cluster, workers={})
        record = replace(record, disk=no_disk, cluster=no_cluster)
    titles = [axes.get_title().partition(",")[0] for axes in plot.make_figure(record).axes]
    assert titles[1:] == [
        "Growth with rows", "Growth with threads", *["From disk", "Cluster", "Cluster"] * parts,
    ]  # fmt: skip
    plot.draw(record, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
