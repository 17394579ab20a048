import pytest

from gtn_nas import load_run
from gtn_nas.report.snapshot import mapping, number
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Status

from ..results.samples import final, record, write_run
from .runs import snapshot_of


def test_candidates_and_finals_are_in_the_order_of_the_run(finished):
    snapshot = snapshot_of(finished)
    assert [row["key"] for row in snapshot.candidates] == [
        row["key"] for row in load_run(finished).query()
    ]
    accuracies = [final["validation_accuracy"] for final in snapshot.finals]
    assert len(accuracies) == 3
    assert accuracies == sorted(accuracies, reverse=True)
    assert snapshot.ended
    assert snapshot.about["classes"] == [str(digit) for digit in range(10)]
    assert snapshot.measure == "proxy_accuracy"
    assert {"params", "flops"} == set(snapshot.fronts)


def test_a_run_without_anything_is_one_too(tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n"):
        snapshot = snapshot_of(tmp_path / "run")
    assert (snapshot.candidates, snapshot.finals, snapshot.times) == ([], [], None)
    assert not snapshot.ended
    assert (snapshot.measure, snapshot.fronts, dict(snapshot.about)) == (None, {}, {})


def test_only_an_end_after_the_last_start_ends_a_run(tmp_path):
    with RunStore.create(tmp_path / "run", "seed: 0\n") as store:
        for kind, ended in (("start", False), ("end", True), ("resume", False), ("end", True)):
            store.append_event(kind)
            store.flush()
            assert snapshot_of(tmp_path / "run").ended == ended


def test_a_network_that_was_trained_again_counts_by_its_best_training(tmp_path):
    folder = write_run(tmp_path / "run", [record(0), record(1)])
    with RunStore.open(folder) as store:
        store.append_final(final(0, status=Status.CRASHED, error="its worker died"))
        store.append_final(final(1, validation_accuracy=0.5))
        later = final(1).created_at.replace(year=2027)
        store.append_final(final(0, validation_accuracy=0.6, created_at=later))
    snapshot = snapshot_of(folder)
    assert [f["validation_accuracy"] for f in snapshot.finals] == [0.6, 0.5]


def test_a_loss_of_zero_is_the_best_loss(tmp_path):
    folder = write_run(tmp_path / "run", [record(0), record(1)])
    with RunStore.open(folder) as store:
        for i, loss in enumerate((0.1, 0.0)):
            store.append_final(final(i, validation_accuracy=1.0, validation_loss=loss))
    snapshot = snapshot_of(folder)
    assert snapshot.winner is not None
    assert snapshot.winner["key"] == snapshot.finals[0]["key"] == record(1).key


def test_what_cannot_be_read_is_named(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)])
    (folder / "candidates" / "part-00000009-damaged.parquet").write_bytes(b"PAR1 no more")
    with pytest.warns(UserWarning, match="damaged"):
        snapshot = snapshot_of(folder)
    assert len(snapshot.candidates) == 1
    assert "part-00000009-damaged.parquet" in snapshot.skipped[0]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "1", [1]])
def test_only_finite_numbers_are_numbers(value):
    assert number(value) is None


def test_numbers_keep_six_digits():
    assert (number(1 / 3), number(1234567)) == (0.333333, 1234567)


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '"a"'])
def test_only_a_json_object_is_a_mapping(text):
    assert mapping(text) == {}
