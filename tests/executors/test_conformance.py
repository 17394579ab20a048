"""What every executor does, whatever it runs on."""

from collections.abc import Iterable, Iterator

import pytest

from gtn_nas.errors import ConfigError, EnvironmentFailure
from gtn_nas.executors import Executor
from gtn_nas.trial import Record, Status, Trial

from .conftest import Make
from .evaluators import ERRORS, checksum, failing_factory, toy_arrays, trial, trials


def run(executor: Executor, candidates: Iterable[Trial]) -> dict[int, Record]:
    """Return the records by the index of their trial; none may come twice."""
    records = list(executor.run(candidates))
    by_index = {record.ask_index: record for record in records}
    assert len(by_index) == len(records)
    return by_index


def test_every_trial_gives_one_record(make: Make) -> None:
    records = run(make(), trials(40))
    assert sorted(records) == list(range(40))
    assert {record.status for record in records.values()} == {Status.OK}


def test_no_trials_give_no_records(make: Make) -> None:
    assert run(make(), []) == {}


def test_both_executors_give_the_same_scores(make_inline: Make, make_ray: Make) -> None:
    inline, ray = run(make_inline(), trials(10)), run(make_ray(), trials(10))
    assert [inline[i].proxy_accuracy for i in range(10)] == [
        float(weight) for weight in toy_arrays()["weights"][:10]
    ]
    assert all(inline[i].proxy_accuracy == ray[i].proxy_accuracy for i in range(10))


def test_records_say_where_they_come_from(make: Make) -> None:
    record = run(make(), trials(1))[0]
    assert record.worker.startswith(("inline", "ray-"))
    assert record.node
    assert record.attempt == 1


def test_the_load_tells_who_is_there_and_how_busy(make: Make) -> None:
    executor = make()
    assert executor.load().utilisation == 0
    records = list(executor.run(trials(10)))
    load = executor.load()
    assert load.workers.keys() == {record.node for record in records}
    assert sum(load.workers.values()) == executor.workers == len({r.worker for r in records})
    assert 0 < load.utilisation <= 1


def test_trials_are_pulled_only_when_there_is_room(make: Make) -> None:
    executor = make()
    yielded, outstanding = 0, []

    def source() -> Iterator[Trial]:
        for pulled, candidate in enumerate(trials(30), start=1):
            outstanding.append(pulled - yielded)
            yield candidate

    records = executor.run(source())
    assert outstanding == []
    for _ in records:
        yielded += 1
    assert len(outstanding) == 30
    assert max(outstanding) <= 2 * executor.workers


def test_a_trial_can_be_chosen_by_the_records_seen(make: Make) -> None:
    executor = make()
    seen: set[int] = set()

    def source() -> Iterator[Trial]:
        index = 0
        while len(seen) < 10:  # the last trials are known by the records alone
            yield trial(index)
            index += 1

    for record in executor.run(source()):
        seen.add(record.ask_index)
    assert seen == set(range(len(seen)))
    assert 10 <= len(seen) < 10 + 2 * executor.workers


def test_what_candidates_raise_becomes_their_records(make: Make) -> None:
    acts = [*ERRORS, "no record", "write", "write shared"]
    candidates = [trial(index, act) for index, act in enumerate(acts)]
    records = run(make(), [*candidates, trial(99)])
    statuses = {act: records[index].status for index, act in enumerate(acts)}
    oom = dict.fromkeys(["memory", "gpu memory", "cpu memory"], Status.OOM)
    assert statuses == dict.fromkeys(acts, Status.FAILED) | oom
    assert records[acts.index("raise")].error == "ValueError: wrong shape"
    assert records[acts.index("unprintable error")].error == "UnprintableError"
    assert records[99].status == Status.OK


def test_an_endless_candidate_is_stopped(make: Make) -> None:
    acts = ["score", "loop", "score", "score", "loop", "score"]
    candidates = [trial(index, act) for index, act in enumerate(acts)]
    records = run(make(timeout_s=0.5), candidates)
    expected = {"score": Status.OK, "loop": Status.TIMEOUT}
    assert [records[i].status for i in range(6)] == [expected[act] for act in acts]
    assert all(record.attempt == 1 for record in records.values())
    assert records[1].error == "not finished after 0.5 s"


def test_shared_arrays_stay_as_they_are(make: Make) -> None:
    acts = ["score", "write", "write shared", "score", "score"]
    records = run(make(), [trial(index, act) for index, act in enumerate(acts)])
    seen = {records[i].extra["checksum"] for i, act in enumerate(acts) if act == "score"}
    assert seen == {checksum(toy_arrays())}


def test_a_run_that_was_given_up_leaves_nothing_to_the_next(make: Make) -> None:
    executor = make()
    first = executor.run(trials(20))
    next(first)
    first.close()  # type: ignore[attr-defined]  # every executor's run is a generator
    assert sorted(run(executor, [trial(index) for index in range(100, 110)])) == list(
        range(100, 110)
    )


def test_an_error_of_the_trials_ends_the_run_and_not_the_executor(make: Make) -> None:
    executor = make()

    def source() -> Iterator[Trial]:
        yield from trials(3)
        raise LookupError("no more choices")

    with pytest.raises(LookupError, match="no more choices"):
        list(executor.run(source()))
    assert len(run(executor, trials(3))) == 3


def test_a_factory_that_fails_ends_the_run(make: Make) -> None:
    pulled = []

    def source() -> Iterator[Trial]:
        for candidate in trials(3):
            pulled.append(candidate)
            yield candidate

    with pytest.raises(EnvironmentFailure, match="RuntimeError: no such teacher"):
        list(make(failing_factory).run(source()))
    assert pulled == []


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_a_deadline_must_be_above_zero(make: Make, timeout_s: float) -> None:
    with pytest.raises(ConfigError, match="timeout_s must be above 0"):
        make(timeout_s=timeout_s)
