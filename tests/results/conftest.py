from pathlib import Path

import pytest

from gtn_nas.results.store import RunStore
from gtn_nas.trial import Status

from .samples import final, record, trial


@pytest.fixture
def folder(tmp_path) -> Path:
    """Eight candidates in four parts, the fourth and the last failed; two finals."""
    records = [record(i, extra={"synflow": 10.0 * i}) for i in range(8)]
    for i in (3, 7):
        records[i] = record(i, status=Status.FAILED, proxy_accuracy=None, error="no <memory>")
    folder = tmp_path / "run"
    with RunStore.create(folder, "seed: 5\n") as store:
        store.append_asks([trial(i) for i in range(8)])
        for i in range(0, 8, 2):
            store.append_candidates(records[i : i + 2])
            store.flush()
        store.append_final(final(1))
        store.append_final(final(0))
        store.append_event("stop")
    return folder
