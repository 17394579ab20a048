from pathlib import Path

import pytest

from gtn_nas.report.pictures import Pictures
from gtn_nas.viewer.runs import RunCatalogue

from ..results.samples import record, write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run of three candidates, an empty folder and a file."""
    folder = tmp_path / "runs"
    write_run(folder / "first", [record(i) for i in range(3)], config="dataset: digits\n")
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("nothing")
    return folder


@pytest.fixture
def runs(folder: Path) -> RunCatalogue:
    return RunCatalogue(folder, Pictures())
