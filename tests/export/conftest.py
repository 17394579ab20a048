from pathlib import Path

import pytest

from gtn_nas import SearchConfig, search


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of digits whose two candidates were fully trained for an epoch."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    config = SearchConfig(
        candidates=2, top_k=2, proxies=(), final_epochs=1, executor="inline", out=str(out)
    )
    search(config)
    return out
