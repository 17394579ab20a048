from pathlib import Path

import pytest

from gtn_nas import SearchConfig, search

from .runs import write_hostile_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run on digits: eight candidates, three full trainings of two epochs."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    config = SearchConfig(
        candidates=8, top_k=3, final_epochs=2, executor="inline", objectives=("params",), out=folder
    )
    search(config)
    return folder


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    return write_hostile_run(tmp_path / "hostile")
