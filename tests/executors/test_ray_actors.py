import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from gtn_nas.errors import ClusterError, ConfigError, EnvironmentFailure, ResourceError
from gtn_nas.executors import ray_crew
from gtn_nas.executors.base import Notice
from gtn_nas.trial import Status

from .conftest import Make
from .evaluators import dying_factory, trial, trials


class NotImportable:
    """Travels as something that no worker can import."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__, ("no_such_module",)


def test_a_candidate_that_ends_its_worker_twice_is_recorded(make_ray: Make) -> None:
    candidates = [trial(index, "exit" if index == 5 else "score") for index in range(16)]
    records = {record.ask_index: record for record in make_ray().run(candidates)}
    crashed = records.pop(5)
    assert (crashed.status, crashed.attempt) == (Status.CRASHED, 2)
    assert crashed.error == "its worker died in each of 2 attempts, last by ActorDiedError"
    assert sorted(records) == [index for index in range(16) if index != 5]
    assert {record.status for record in records.values()} == {Status.OK}


@pytest.fixture
def small_memory(tmp_path: Path) -> Iterator[None]:
    """A control group with little memory, which candidates that eat move to."""
    place = Path("/sys/fs/cgroup/memory", f"gtn-nas-{secrets.token_hex(4)}")
    try:
        place.mkdir()
        (place / "memory.limit_in_bytes").write_text("500M")
    except OSError as error:
        pytest.skip(f"memory cannot be limited here: {error}")
    (tmp_path / "limit").symlink_to(place)
    yield
    place.rmdir()


@pytest.mark.slow
def test_a_candidate_that_the_kernel_kills_for_memory_is_told_apart(
    make_ray: Make, small_memory: None
) -> None:
    candidates = [trial(0, "eat"), trial(1, "exit"), trial(2)]
    records = {r.ask_index: r for r in make_ray(workers=1).run(candidates)}
    assert [records[i].status for i in range(3)] == [Status.OOM, Status.CRASHED, Status.OK]
    assert str(records[0].error).endswith("last by ActorDiedError; memory ran out there")


def test_leaving_the_process_politely_is_a_crash_too(make_ray: Make) -> None:
    records = list(make_ray(workers=1, max_attempts=1).run([trial(0, "leave"), trial(1)]))
    assert [record.status for record in records] == [Status.CRASHED, Status.OK]


def test_workers_that_die_lose_nothing(make_ray: Make, tmp_path: Path) -> None:
    candidates = [trial(index, "exit once" if index % 4 == 1 else "score") for index in range(8)]
    records = {record.ask_index: record for record in make_ray().run(candidates)}
    assert sorted(records) == list(range(8))
    assert {record.status for record in records.values()} == {Status.OK}
    assert len(list(tmp_path.iterdir())) == 2


def test_only_the_oldest_on_a_dead_worker_loses_an_attempt(make_ray: Make) -> None:
    candidates = [trial(0, "exit once"), trial(1), trial(2)]
    records = {record.ask_index: record for record in make_ray(workers=1).run(candidates)}
    assert [records[i].attempt for i in range(3)] == [2, 1, 1]


def test_what_happens_to_workers_is_told(make_ray: Make) -> None:
    executor = make_ray(workers=1)
    told: list[Notice] = []
    executor.on_notice = told.append
    candidates = [trial(0, "exit once"), trial(1)]
    last = list(executor.run(candidates))[-1]
    assert [(n.kind, n.attempt) for n in told] == [
        ("worker_joined", None),
        ("worker_left", None),
        ("requeued", 2),
        ("requeued", 1),
        ("worker_joined", None),
    ]
    assert told[1].about == "ended by ActorDiedError"
    assert [n.key for n in told[2:4]] == [c.architecture.key for c in candidates]
    assert (told[0].worker, told[0].node) == (told[1].worker, told[1].node)
    assert (told[4].worker, told[4].node) == (last.worker, last.node)


def test_more_workers_than_fit_can_be_waited_for(make_ray: Make) -> None:
    executor = make_ray(max_workers=5)
    list(
        executor.run(
            itertools.takewhile(lambda _: executor.workers < 2, map(trial, itertools.count()))
        )
    )
    assert executor.workers == 2


def test_a_run_ends_where_the_fewest_workers_do_not_come(make_ray: Make, monkeypatch) -> None:
    monkeypatch.setattr(ray_crew, "START_S", 0.5)
    executor = make_ray(min_workers=3, timeout_s=5)
    with pytest.raises(ClusterError, match=r"fewer than 3 workers \(now \d\)"):
        for _ in executor.run(trial(index) for index in iter(int, 1)):
            pass


def test_a_lost_device_fails_one_candidate_only(make_ray: Make) -> None:
    acts = ["score", "break device", "score", "score"]
    candidates = [trial(index, act) for index, act in enumerate(acts)]
    records = {record.ask_index: record for record in make_ray(workers=1).run(candidates)}
    ok = Status.OK
    assert [records[i].status for i in range(4)] == [ok, Status.FAILED, ok, ok]
    assert records[0].worker != records[3].worker


def test_a_record_that_cannot_be_sent_is_a_failure(make_ray: Make) -> None:
    candidates = [trial(0, "unsendable record"), trial(1)]
    records = {record.ask_index: record for record in make_ray(workers=1).run(candidates)}
    assert [records[0].status, records[1].status] == [Status.FAILED, Status.OK]
    assert "pickle" in str(records[0].error)


def test_workers_stay_warm_until_closed(make_ray: Make) -> None:
    executor = make_ray(workers=1)
    first, second = ({record.extra["pid"] for record in executor.run(trials(9))} for _ in range(2))
    assert len(first) == 1
    assert first == second
    executor.close()
    assert first.isdisjoint(record.extra["pid"] for record in executor.run(trials(9)))


@pytest.mark.slow
def test_workers_that_are_ended_while_they_are_born_free_what_they_reserved(make_ray: Make) -> None:
    """Ray's own way loses a CPU in about one case of a hundred."""
    import ray

    idle = ray.remote(lambda: None)
    for _ in range(200):
        ray.get([idle.remote() for _ in range(2)])  # processes that an actor can have at once
        make_ray(workers=1).close()
    (record,) = make_ray(cpus_per_worker=2).run(trials(1))
    assert record.status == Status.OK


def test_a_worker_computes_with_as_many_threads_as_cpus(make_ray: Make) -> None:
    (record,) = make_ray(cpus_per_worker=2).run(trials(1))
    assert record.extra["threads"] == float(os.environ.get("OMP_NUM_THREADS", "2"))


def test_workers_that_do_not_fit_are_refused_at_once(make_ray: Make) -> None:
    with pytest.raises(ResourceError, match="3 workers with 1 CPUs"):
        make_ray(workers=3)


@pytest.mark.parametrize(
    "name", ["workers", "min_workers", "max_workers", "cpus_per_worker", "max_attempts"]
)
def test_options_must_be_above_zero(make_ray: Make, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be above 0"):
        make_ray(**{name: 0})


def test_a_factory_that_no_worker_can_load_ends_the_run(make_ray: Make) -> None:
    with pytest.raises(EnvironmentFailure, match="No module named 'no_such_module'"):
        list(make_ray(NotImportable()).run(trials(1)))


def test_a_factory_that_ends_its_worker_ends_the_run(make_ray: Make) -> None:
    with pytest.raises(ClusterError, match="3 workers died while they started"):
        list(make_ray(dying_factory, workers=1).run(trials(1)))
