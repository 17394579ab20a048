"""What TensorBoard is given, read back from its files."""

import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.searching.curves import CANDIDATES, FOLDER, TrainingCurves, write_best_so_far
from gtn_nas.storage.files import Place, names_in, place_of
from gtn_nas.training.train import EpochReport
from gtn_nas.trial import Status

from ..results.samples import record

Points = dict[str, list[tuple[int, float]]]


def events_in(contents: bytes) -> list[Event]:
    """Read a file of TensorFlow records: length, its checksum, an event, its checksum."""
    events = []
    while contents:
        (length,) = struct.unpack("<Q", contents[:8])
        events.append(Event.FromString(contents[12 : 12 + length]))
        contents = contents[16 + length :]
    return events


def points_in(folder: Place) -> Points:
    found: Points = {}
    for name in sorted(names_in(folder)):
        for event in events_in((folder / name).read_bytes()):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def epoch(number: int, accuracy: float = 0.5) -> EpochReport:
    return EpochReport(number, 2.0 / number, accuracy, 1.0 / number, float(number))


def small_search(out: str, **values: object) -> None:
    common = {"proxies": (), "executor": "inline", "out": out}
    search(SearchConfig(**common | {"candidates": 3, "top_k": 1, "final_epochs": 2} | values))


def test_a_search_leaves_the_curves_of_its_full_trainings_and_candidates(tmp_path):
    run = tmp_path / "run"
    small_search(str(run))
    (final,) = load_run(run).sql("SELECT key, validation_accuracy FROM finals")
    points = points_in(run / FOLDER / final["key"])
    assert {tag: [step for step, _ in of] for tag, of in points.items()} == {
        "loss/train": [1, 2],
        "loss/validation": [1, 2],
        "accuracy/validation": [1, 2],
    }
    best = max(value for _, value in points["accuracy/validation"])
    assert best == pytest.approx(final["validation_accuracy"])
    of_candidates = points_in(run / FOLDER / CANDIDATES)
    largest = max(row["params"] for row in load_run(run).query())
    assert of_candidates["best_so_far/params"][-1] == (3, largest)
    sizes = [file.stat().st_size for file in (run / FOLDER).rglob("*") if file.is_file()]
    assert sum(sizes) < 5_000


def test_a_search_in_a_bucket_leaves_them_there(bucket):
    out = f"{bucket}/runs/a"
    small_search(out)
    (final,) = load_run(out).sql("SELECT key FROM finals")
    points = points_in(place_of(out) / FOLDER / final["key"])
    assert [step for step, _ in points["loss/train"]] == [1, 2]


def test_a_search_that_goes_on_tells_of_all_candidates_once(tmp_path):
    run = tmp_path / "run"
    small_search(str(run), candidates=2)
    config = SearchConfig(
        proxies=(), executor="inline", out=str(run), candidates=4, top_k=1, final_epochs=2
    )
    search(config, resume=True)
    points = points_in(run / FOLDER / CANDIDATES)["best_so_far/params"]
    assert points[-1][0] == 4
    assert sorted(set(points)) == points


def test_every_epoch_is_seen_at_once(tmp_path):
    curves = TrainingCurves(tmp_path)
    curves.add("a", epoch(1, 0.25))
    assert points_in(tmp_path / FOLDER / "a")["accuracy/validation"] == [(1, 0.25)]
    curves.add("b", epoch(1))
    curves.add("a", epoch(2, 0.75))
    assert points_in(tmp_path / FOLDER / "a")["accuracy/validation"] == [(1, 0.25), (2, 0.75)]
    curves.close()


def test_a_training_that_is_taken_up_again_voids_what_it_repeats(tmp_path):
    first = TrainingCurves(tmp_path)
    for number in (1, 2, 3):
        first.add("a", epoch(number))
    first.close()
    again = TrainingCurves(tmp_path)
    again.add("a", epoch(3))
    again.end("a")
    again.end("a")
    folder = tmp_path / FOLDER / "a"
    files = [events_in(path.read_bytes()) for path in sorted(folder.iterdir())]
    starts = {e.step for events in files for e in events if e.session_log.status == 1}
    assert (len(files), starts) == (2, {1, 3})


def test_the_best_so_far_grows_or_falls_as_its_measure_should(tmp_path):
    values = [0.3, 0.2, None, 0.5, 0.4]
    records = [
        record(i, proxy_accuracy=value, proxy_loss=value, params=10 - i)
        for i, value in enumerate(values)
    ]
    records.append(record(9, status=Status.FAILED, proxy_accuracy=0.9, proxy_loss=0.0))
    columns = ["proxy_accuracy", "proxy_loss", "params", "nwot"]
    write_best_so_far(tmp_path, records, columns)
    points = points_in(tmp_path / FOLDER / CANDIDATES)
    rounded = {tag: [(step, round(v, 3)) for step, v in of] for tag, of in points.items()}
    assert rounded == {
        "best_so_far/proxy_accuracy": [(1, 0.3), (4, 0.5), (6, 0.5)],
        "best_so_far/proxy_loss": [(1, 0.3), (2, 0.2), (6, 0.2)],
        "best_so_far/params": [(1, 10), (6, 10)],
    }


def test_without_anything_to_show_there_is_no_folder(tmp_path):
    write_best_so_far(tmp_path, [record(0)], ["nwot"])
    assert list(Path(tmp_path).iterdir()) == []


@pytest.mark.slow
def test_trainings_side_by_side_have_curves_too(tmp_path, ray_local):
    run = tmp_path / "run"
    small_search(str(run), executor="ray", workers=1, top_k=2)
    keys = {row["key"] for row in load_run(run).sql("SELECT key FROM finals")}
    assert len(keys) == 2
    assert {path.name for path in (run / FOLDER).iterdir()} == keys | {CANDIDATES}
    for key in keys:
        assert [s for s, _ in points_in(run / FOLDER / key)["loss/train"]] == [1, 2]
