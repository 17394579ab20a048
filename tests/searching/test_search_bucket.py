"""A search whose run is in a bucket finds what one on a disk finds, also through outages."""

import sys
from pathlib import Path

import pytest

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.searching.finals import UNFINISHED
from gtn_nas.searching.search import SearchProgress
from gtn_nas.storage.bucket import BucketPath

from ..user_spaces import write_space

COLUMNS = ["key", "status", "proxy_accuracy", "proxy_loss", "params", "seed"]


@pytest.fixture
def config(tiny_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchConfig:
    """A search of networks that are trained in a moment."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return SearchConfig(
        space=write_space(tmp_path, "in_a_bucket", "relu", "tanh"),
        teacher=str(tiny_teacher),
        candidates=12,
        top_k=2,
        final_epochs=6,
        executor="inline",
        out=tmp_path / "run",
    )


def in_bucket(config: SearchConfig, bucket: str, **values: object) -> SearchConfig:
    return config.model_copy(update={"out": f"{bucket}/runs/a", **values})


def candidates(config: SearchConfig) -> list[dict[str, object]]:
    return sorted(load_run(config.out).query(columns=COLUMNS), key=lambda row: row["key"])


def finals(config: SearchConfig) -> list[dict[str, object]]:
    select = "SELECT key, status, validation_loss, test_accuracy, weights FROM finals ORDER BY key"
    return load_run(config.out).sql(select)


def test_outages_in_a_search_lose_and_double_nothing(config, bucket, gate):
    search(config)
    far = in_bucket(config, bucket)
    met = []

    def interrupt(progress: SearchProgress) -> None:
        if (progress.stage, progress.done) in (("candidates", 5), ("finals", 4), ("finals", 7)):
            gate.shut(refusals=3)
            met.append(gate.refused)

    search(far, on_progress=interrupt)
    assert met == [0, 3, 6]
    assert gate.refused == 9
    assert candidates(far) == candidates(config)
    assert finals(far) == finals(config)
    stored = load_run(far.out).sql("SELECT count(*) AS n FROM candidates")
    assert stored == [{"n": 12}]


@pytest.mark.slow
def test_finals_in_a_bucket_go_on_from_their_states(config, bucket):
    search(config)
    far = in_bucket(config, bucket)
    epochs = []

    def interrupt(progress: SearchProgress) -> None:
        epochs.append(progress.stage)
        if epochs.count("finals") == 1 + 11:  # the last epoch of all is not over
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(far, on_progress=interrupt)
    left = BucketPath.of(far.out) / UNFINISHED
    assert left.names(everything=True)
    epochs.clear()
    search(far, resume=True, on_progress=lambda progress: epochs.append(progress.stage))
    assert epochs.count("finals") == 1 + 1  # a state is kept after the fifth
    assert left.names(everything=True) == []
    assert candidates(far) == candidates(config)
    assert finals(far) == finals(config)
