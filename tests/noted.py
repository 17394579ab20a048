"""What a run noted when it was started, told otherwise."""

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

EARLIER: Mapping[str, object] = {
    "initial weights": "in common",
    "search space": "b81ba7132a379744",
    "scoring code": None,
}
"""What differs in runs of versions that noted the hash of one file, and not all code."""


def note(run: Path, changes: Mapping[str, object]) -> None:
    """Let a run have noted other entries, or none where a change is ``None``."""
    for part in (run / "events").glob("part-*.parquet"):
        table = pq.read_table(part)
        place = table.schema.get_field_index("details")
        details = [
            _changed(text, changes) if kind == "start" else text
            for kind, text in zip(*(table[n].to_pylist() for n in ("kind", "details")), strict=True)
        ]
        field = table.schema.field(place)
        pq.write_table(table.set_column(place, field, pa.array(details, field.type)), part)


def _changed(text: str, changes: Mapping[str, object]) -> str:
    details = json.loads(text) | changes
    return json.dumps({name: value for name, value in details.items() if value is not None})
