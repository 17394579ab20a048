"""A search whose run is in a bucket finds what one on a disk finds, also through outages."""

from pathlib import Path

import pytest

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.bucket import BucketPath
from gtn_nas.finals import UNFINISHED
from gtn_nas.searching import SearchProgress

COLUMNS = ["key", "status", "proxy_accuracy", "proxy_loss", "params", "seed"]


@pytest.fixture
def config(tiny_teacher: Path, tmp_path: Path) -> SearchConfig:
    return SearchConfig(
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
    columns = "key, status, validation_loss, test_accuracy, weights"
    return load_run(config.out).sql(f"SELECT {columns} FROM finals ORDER BY key")


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


@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
def test_finals_in_a_bucket_go_on_from_their_states(config, bucket, executor, request):
    if executor == "ray":
        request.getfixturevalue("ray_local")
    search(config)
    far = in_bucket(config, bucket, executor=executor, workers=None if executor != "ray" else 1)
    epochs = []

    def interrupt(progress: SearchProgress) -> None:
        if progress.stage == "finals":
            epochs.append(progress.done)
            if len(epochs) == 1 + 2 * 6 - 1:  # the last epoch of all is not over
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(far, on_progress=interrupt)
    left = BucketPath.of(far.out) / UNFINISHED
    assert left.names(everything=True)
    seen: list[SearchProgress] = []
    search(far, resume=True, on_progress=seen.append)
    assert max(p.total for p in seen if p.stage == "finals") in (6, 12)
    assert sum(p.stage == "finals" for p in seen) <= 1 + 2  # of each the epoch after the fifth
    assert left.names(everything=True) == []
    assert candidates(far) == candidates(config)
    assert finals(far) == finals(config)
