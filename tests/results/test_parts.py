import math
import os
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.errors import ConfigError, EnvironmentFailure, RunFolderError
from gtn_nas.results import parts
from gtn_nas.results.schema import Event, Latency, columns
from gtn_nas.trial import SCHEMA_VERSION, Final, Record, Status

from .samples import EVENTS, FINALS, LATENCIES, RECORDS, final, record


def through_a_file(rows, kind):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder, "part-0.parquet")
        parts.write_part(path, parts.to_table(rows, "run"))
        assert os.listdir(folder) == [path.name]
        return parts.to_rows(parts.read_part(path, kind), kind)


@pytest.mark.parametrize(
    ("kind", "some"), [(Record, RECORDS), (Final, FINALS), (Event, EVENTS), (Latency, LATENCIES)]
)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_rows_survive_a_file(kind, some, data):
    rows = data.draw(st.lists(some, min_size=1, max_size=5))
    assert through_a_file(rows, kind) == [replace(row, run=row.run or "run") for row in rows]


def test_a_score_that_is_no_number_survives_a_file():
    (read,) = through_a_file([record(0, proxy_loss=math.nan, extra={"synflow": math.inf})], Record)
    assert math.isnan(read.proxy_loss)
    assert read.extra == {"synflow": math.inf}


def test_text_that_is_not_unicode_does_not_end_a_run():
    (read,) = through_a_file([record(0, error="no file \udcff")], Record)
    assert read.error == "no file ?"


@pytest.mark.parametrize("row", [record(0), final(0), Event("start")])
def test_every_known_column_is_there_and_typed_even_if_it_is_all_null(row):
    schema = parts.to_table([row], "run").schema
    expected = {n: parts.ARROW_TYPES[t] for n, t in columns(type(row)).items()}
    assert {field.name: field.type for field in schema} == expected


def test_extra_scores_become_columns_and_stay_with_their_rows():
    rows = [record(0, extra={"synflow": 1.5}), record(1), record(2, extra={"naswot": 2})]
    table = parts.to_table(rows, "run")
    assert table["synflow"].to_pylist() == [1.5, None, None]
    assert table["naswot"].to_pylist() == [None, None, 2.0]


@pytest.mark.parametrize("name", ["params", "Params"])
def test_an_extra_score_cannot_take_the_name_of_a_column(name):
    with pytest.raises(ConfigError, match=f"a proxy cannot be called '{name}'"):
        parts.to_table([record(0, extra={name: 1.0})], "run")


def test_a_file_without_later_columns_reads_with_their_defaults(tmp_path):
    path = tmp_path / "part-0.parquet"
    old = parts.to_table([record(0, attempt=3)], "run").drop_columns(["attempt", "flops"])
    parts.write_part(path, old)
    assert parts.to_rows(parts.read_part(path, Record), Record) == [record(0)]


@pytest.mark.parametrize("keep", [0, 3, 100, -1, -200])
def test_a_torn_part_is_named_and_skipped(tmp_path, keep):
    path = tmp_path / "part-0.parquet"
    parts.write_part(path, parts.to_table([record(0)], "run"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.warns(UserWarning, match=r"part-0\.parquet: it is damaged"):
        assert parts.read_part(path, Record) is None


def as_it_should_be():
    return parts.to_table([record(0)], "run")


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"animal": ["cat"]}),
        as_it_should_be().drop_columns(["key"]),
        as_it_should_be().set_column(0, "key", pa.array([7])),
        as_it_should_be().set_column(0, "key", pa.array([None], pa.string())),
        as_it_should_be().drop_columns(["flops"]).append_column("flops", pa.array(["many"])),
    ],
    ids=["other columns", "key missing", "key is a number", "key is null", "flops is a text"],
)
def test_a_foreign_part_is_named_and_skipped(tmp_path, table):
    pq.write_table(table, tmp_path / "part-0.parquet")
    with pytest.warns(UserWarning, match=r"part-0\.parquet: it holds no Record rows"):
        assert parts.read_part(tmp_path / "part-0.parquet", Record) is None


def test_a_part_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "run" / "candidates" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    newer = [record(0), record(1, schema_version=SCHEMA_VERSION + 1)]
    parts.write_part(path, parts.to_table(newer, "run"))
    assert parts.newest_version([path]) == SCHEMA_VERSION + 1
    with pytest.raises(RunFolderError, match=rf"run was written with.* {SCHEMA_VERSION + 1}, and"):
        parts.read_part(path, Record)


def test_joined_keeps_the_first_told_of_equal_candidates():
    first, other = record(1), record(2)
    again = replace(first, tell_index=9, status=Status.FAILED)
    budget = replace(first, budget=64, tell_index=5)
    tables = [parts.to_table(rows, "run") for rows in ([again, budget], [other, first], [first])]
    assert parts.to_rows(parts.joined(tables, Record), Record) == [first, other, budget]


def test_joined_drops_only_equal_finals():
    rows = [final(0), final(0, status=Status.FAILED), final(1)]
    table = parts.to_table(rows, "run")
    assert parts.to_rows(parts.joined([table, table], Final), Final) == rows


def test_joined_takes_parts_with_and_without_an_extra_score():
    rows = [record(0), record(1, extra={"synflow": 2.0})]
    tables = [parts.to_table([row], "run") for row in rows]
    assert parts.to_rows(parts.joined(tables, Record), Record) == rows


def test_a_file_that_fails_half_way_never_gets_its_name(tmp_path):
    path = tmp_path / "part-0.parquet"
    path.write_bytes(b"before")

    def fail_half_way():
        with parts.whole_file(path) as file:
            file.write(b"half of what should be th")
            raise OSError(28, "no space left")

    with pytest.raises(EnvironmentFailure, match=r"cannot write .*part-0\.parquet: no space"):
        fail_half_way()
    assert path.read_bytes() == b"before"
