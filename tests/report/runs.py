"""Runs to report on: hostile ones, and what a page says of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gtn_nas import load_run
from gtn_nas.report.page import report_data, to_html
from gtn_nas.report.pictures import Pictures
from gtn_nas.report.snapshot import Snapshot, read
from gtn_nas.results.store import RunStore
from gtn_nas.trial import Record, Status, Trial

from ..results.samples import final, record

EVIL = "</script><img src=x onerror=\"document.title='owned'\"><!--"
"""What would end a script element, run code of its own and hide the rest."""


def snapshot_of(folder: Path) -> Snapshot:
    return read(load_run(folder))


def data_of(folder: Path, **options: Any) -> dict[str, Any]:
    """What a page of a run shows, as its script reads it."""
    html = to_html(report_data(snapshot_of(folder), Pictures(**options)))
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def column(data: dict[str, Any], name: str) -> list[Any]:
    (found,) = [one for one in data["table"]["columns"] if one["name"] == name]
    if "levels" in found:
        return [found["levels"][code] for code in found["codes"]]
    return list(found["values"])


def write_hostile_run(folder: Path) -> Path:
    """Every text that a run can hold wants to be markup."""
    from gtn_nas.architecture import Architecture

    bad = Trial(Architecture("cells", {EVIL: EVIL}), 32, 9)
    records = [
        record(0, run=EVIL, worker=EVIL, node=EVIL, extra={f"x_{EVIL}": 1.0}),
        record(1, status=Status.FAILED, error=EVIL, proxy_accuracy=None),
        Record.of(bad, Status.FAILED, error=f"{EVIL} again"),
    ]
    with RunStore.create(folder, json.dumps({"dataset": EVIL, "space": "conv_chain"})) as store:
        classes = [EVIL, "plain"]
        about = {"classes": classes, "proxy_image_shape": [1, 8, 8], "versions": {EVIL: EVIL}}
        store.append_event("start", details=about | {"data": EVIL})
        store.append_candidates(records)
        store.append_event("worker_left", details={"reason": EVIL})
        cells = [[0, 0, 5], [0, 1, 2], [1, 1, 7]]
        store.append_event("confusion", key=records[0].key, details={"test_confusion": cells})
        store.append_final(final(0, validation_accuracy=0.9, test_accuracy=0.8))
    return folder
