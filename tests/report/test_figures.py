import json
from datetime import timedelta

import pytest

from gtn_nas.report import figures
from gtn_nas.report.summary import reproduction, summary
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Status

from ..results.samples import START, final, latency, record, write_run
from .runs import column, data_of, snapshot_of


def with_finals(folder, count, accuracy=lambda place: 0.9 - place / 100):
    write_run(folder, [record(i) for i in range(count + 3)], config="rank_by: proxy_accuracy\n")
    with RunStore.open(folder) as store:
        for i in range(count):
            store.append_final(
                final(i, validation_accuracy=accuracy(i), params=1000 * (i + 1), flops=9)
            )
    return snapshot_of(folder)


def test_the_table_has_every_candidate_with_choices_and_final_accuracies(finished):
    data, snapshot = data_of(finished), snapshot_of(finished)
    assert data["table"]["count"] == 8
    assert column(data, "key") == [row["key"] for row in snapshot.candidates]
    assert column(data, "params") == [row["params"] for row in snapshot.candidates]
    assert set(column(data, "norm")) <= {"batch_norm", "group_norm", "weight_norm"}
    tested = {f["key"]: round(f["test_accuracy"], 4) for f in snapshot.finals}
    shown = zip(column(data, "key"), column(data, "test_accuracy"), strict=True)
    assert {key: round(value, 4) for key, value in shown if value is not None} == tested


def test_the_page_is_told_which_values_of_a_column_are_better(finished):
    data = data_of(finished)
    lower = {c["name"]: c["lower"] for c in data["table"]["columns"] if "lower" in c}
    assert {"proxy_loss", "gtn_s", "train_s", "params", "depth", "ended_s"} <= {
        name for name, is_lower in lower.items() if is_lower
    }
    assert not lower["proxy_accuracy"]
    assert not lower["test_accuracy"]
    assert (data["fronts"]["measure"], data["fronts"]["lower"]) == ("proxy_accuracy", False)


def test_a_measure_of_which_less_is_better_says_so(tmp_path):
    with RunStore.create(tmp_path / "run", "rank_by: proxy_loss\n") as store:
        store.append_candidates([record(0, proxy_accuracy=None, proxy_loss=0.5)])
    found = figures.fronts(snapshot_of(tmp_path / "run"))
    assert (found["measure"], found["lower"]) == ("proxy_loss", True)


def test_a_choice_that_is_called_like_a_measure_is_kept_apart(finished):
    data, snapshot = data_of(finished), snapshot_of(finished)
    assert column(data, "depth") == [row["depth"] for row in snapshot.candidates]
    chosen = [json.loads(row["choices"])["depth"] for row in snapshot.candidates]
    assert column(data, "choice_depth") == [str(depth) for depth in chosen]


def test_too_few_finals_get_no_correlation(tmp_path):
    found = figures.agreement(with_finals(tmp_path / "run", 2))
    assert found["count"] == 2
    assert all("spearman" not in score for score in found["scores"])


def test_few_finals_get_a_correlation_without_an_interval(tmp_path):
    found = figures.agreement(with_finals(tmp_path / "run", 4))
    scores = {score["name"]: score for score in found["scores"]}
    assert scores["proxy_accuracy"] == {"name": "proxy_accuracy", "spearman": 1.0}
    assert scores["rank"]["spearman"] == 1.0
    assert scores["params"]["spearman"] == -1.0  # as a score, the larger network is the better one


def test_enough_finals_get_an_interval(tmp_path):
    found = figures.agreement(with_finals(tmp_path / "run", 12, lambda i: 0.5 + (i * 5 % 12) / 50))
    score = next(score for score in found["scores"] if score["name"] == "rank")
    assert score["low"] < score["spearman"] < score["high"]


def test_fronts_hold_what_nothing_beats(tmp_path):
    folder = tmp_path / "run"
    accuracies = [0.9, 0.8, 0.7, 0.95]
    sizes = [3000, 1000, 2000, 4000]
    records = [
        record(i, proxy_accuracy=a, params=p)
        for i, (a, p) in enumerate(zip(accuracies, sizes, strict=True))
    ]
    write_run(folder, records, config="rank_by: proxy_accuracy\n")
    with RunStore.open(folder) as store:
        store.append_latency(latency(0, 1.0))
        store.append_latency(latency(1, 2.0))
        store.append_final(final(0, validation_accuracy=0.9, params=9))
        store.append_final(final(2, validation_accuracy=0.8, params=10))
    snapshot = snapshot_of(folder)
    found = figures.fronts(snapshot)
    keys = [row["key"] for row in snapshot.candidates]
    on_front = {front["cost"]: {keys[i] for i in front["places"]} for front in found["candidates"]}
    assert on_front["params"] == {records[i].key for i in (0, 1, 3)}
    assert on_front["latency_ms"] == {records[0].key}
    of_finals = {front["cost"]: front["keys"] for front in found["finals"]}
    assert of_finals["params"] == [records[0].key]


def test_curves_hold_every_epoch_once_and_its_last_word(tmp_path):
    folder = write_run(tmp_path / "run", [record(0)])
    with RunStore.open(folder) as store:
        for epoch, accuracy in ((1, 0.1), (2, 0.2), (2, 0.3)):
            details = {"epoch": epoch, "validation_accuracy": accuracy}
            store.append_event("epoch", key=record(0).key, details=details)
        store.append_event("epoch", key="x", details={"epoch": "many"})
    (curve,) = figures.curves(snapshot_of(folder))
    assert (curve["key"], curve["epochs"]) == (record(0).key, [1, 2])
    assert curve["validation_accuracy"] == [0.1, 0.3]


def test_a_search_records_epochs_and_what_its_winner_confuses(finished):
    snapshot = snapshot_of(finished)
    curves = figures.curves(snapshot)
    assert [curve["key"] for curve in curves] == [final["key"] for final in snapshot.finals]
    for curve, trained in zip(curves, snapshot.finals, strict=True):
        assert curve["epochs"] == [1, 2]
        best = curve["validation_accuracy"][trained["best_epoch"] - 1]
        assert best == pytest.approx(trained["validation_accuracy"], abs=1e-5)
    winner, found = snapshot.finals[0], figures.confusion(snapshot)
    assert found["classes"] == [str(digit) for digit in range(10)]
    right = sum(count for label, guess, count in found["cells"] if label == guess)
    total = sum(count for *_, count in found["cells"])
    assert right / total == pytest.approx(winner["test_accuracy"], abs=1e-5)


@pytest.mark.parametrize("cells", [None, [[0, 1]], [[-1, 0, 1]], [["a", 0, 1]], [[0, 10**6, 1]]])
def test_cells_that_are_none_are_left_out(tmp_path, cells):
    folder = write_run(tmp_path / "run", [record(0)])
    with RunStore.open(folder) as store:
        store.append_final(final(0, validation_accuracy=0.5))
        store.append_event("confusion", key=record(0).key, details={"test_confusion": cells})
    found = figures.confusion(snapshot_of(folder))
    assert found is None or found["cells"] == []


def test_the_timeline_has_a_lane_for_each_worker_and_full_training(tmp_path):
    spent = {"train_s": 0.5, "eval_s": 0.25, "node": "n"}
    records = [record(i, worker=f"w{i % 2}", **spent) for i in range(4)]
    folder = write_run(tmp_path / "run", records)
    with RunStore.open(folder) as store:
        for i, at_s in enumerate((4.0, 4.5, 9.0)):  # two side by side, one after them
            moment = START + timedelta(seconds=at_s)
            store.append_final(final(i, train_s=1.0, created_at=moment))
        store.append_event("worker_left", details={"worker": "w1", "reason": "its node died"})
    found = figures.timeline(snapshot_of(folder))
    assert found["lanes"] == ["w0 on n", "w1 on n", "full trainings 1", "full trainings 2"]
    assert [span[:3] for span in found["spans"][4:]] == [[2, 3, 4], [3, 3.5, 4.5], [2, 8, 9]]
    assert found["spans"][1] == [1, 0.25, 1.0, "ok"]
    assert found["spans"][0][1] == 0.0  # never before the start
    assert found["notices"][0]["about"] == "worker: w1; reason: its node died"


def test_equal_failures_are_counted_together(tmp_path):
    failed = {"status": Status.FAILED, "error": "no memory"}
    records = [record(0), record(1, **failed), record(2, **failed)]
    folder = write_run(tmp_path / "run", records)
    with RunStore.open(folder) as store:
        store.append_final(final(0, status=Status.DIVERGED, error="loss became nan"))
        store.append_final(final(1, status=Status.STOPPED, error="ended after epoch 8"))
    found = figures.failures(snapshot_of(folder))
    assert [(f["stage"], f["status"], f["count"]) for f in found] == [
        ("candidate", "failed", 2),
        ("full training", "diverged", 1),
    ]
    assert found[0]["error"] == "no memory"


def test_the_summary_counts_and_names_the_winner(finished):
    snapshot = snapshot_of(finished)
    found = summary(snapshot)
    assert found["winner"]["key"] == snapshot.finals[0]["key"]
    assert found["statuses"] == {"ok": 8}
    assert found["finals"] == {"ok": 3}
    assert (found["ended"], found["objectives"]) == (True, ["params"])
    assert found["lasted_s"] > found["candidates_s"] > 0


def test_what_repeats_a_run_is_its_configuration_and_versions(finished):
    found = reproduction(snapshot_of(finished))
    assert "candidates: 8" in found["config"]
    assert {"torch", "python", "gtn-nas"} <= set(found["versions"])
    prints = found["fingerprints"]
    assert {"data", "teacher", "search space: gtn_nas.spaces.draws"} <= set(prints)
    assert all(len(prints[name]) == 16 for name in prints if ": " in name)
    assert found["command"].startswith("gtn-nas search --config ")


def test_settings_that_are_none_stay_text(tmp_path):
    config = "candidates: 2026-01-01\nobjectives: 5\ndataset: [1]\nversions: x\n"
    data = data_of(write_run(tmp_path / "run", [record(0)], config=config))
    assert data["summary"]["wanted"] is None
    assert (data["summary"]["objectives"], data["summary"]["dataset"]) == (["5"], "[1]")
    assert "candidates: 2026-01-01" in data["reproduction"]["config"]
