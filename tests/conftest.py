import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def dev_data() -> Path:
    """Folder of real development data (MNIST, CIFAR-10, NAS-Bench-201); outside the project."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GTN_NAS_DEV_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}; set GTN_NAS_DEV_DATA to its folder")
    return folder
