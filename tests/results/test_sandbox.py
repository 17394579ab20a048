import threading

import duckdb
import pytest

from gtn_nas.errors import QueryError
from gtn_nas.results.parts import to_table, write_part
from gtn_nas.results.sandbox import Sandbox, literal, pattern

from .samples import record


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{}')",
        "SELECT * FROM read_text('{}')",
        "SELECT * FROM read_blob('{}')",
        "SELECT * FROM glob('{}')",
        "SELECT * FROM '{}'",
        "COPY (SELECT 1) TO '{}.out'",
        "ATTACH '{}.out'",
        "EXPORT DATABASE '{}.out'",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{}']",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM enable_profiling(save_location := '{}.out')",
        "SELECT * FROM enable_logging(storage := 'file', storage_path := '{}.out')",
    ],
)
def test_even_unchecked_sql_reaches_no_file_and_no_setting(tmp_path, secret, sql):
    with pytest.raises(duckdb.Error):
        Sandbox([]).fetch(sql.format(secret))
    assert list(tmp_path.iterdir()) == [secret]


def test_python_variables_are_not_tables():
    candidates = to_table([record(0)], "run")
    with pytest.raises(duckdb.CatalogException):
        Sandbox([]).fetch("SELECT * FROM candidates")
    assert len(candidates) == 1


@pytest.mark.parametrize("name", ["plain", "a[1]", "a*b", "a?b", "it's", "sp ace", "{x,y}", "é"])
def test_a_file_is_read_whatever_its_folder_is_called_and_only_that_one(tmp_path, name):
    for index, folder in enumerate(["a1", "axb", name]):  # what patterns would match as well
        path = tmp_path / folder / "part-0.parquet"
        path.parent.mkdir()
        write_part(path, to_table([record(index)], "run"))
    source = f"read_parquet([{literal(pattern(path))}])"
    _, rows = Sandbox([path]).fetch(f"SELECT key FROM {source}")  # noqa: S608 - quoted above
    assert rows == [(record(2).key,)]


def test_a_statement_that_takes_too_long_is_stopped():
    forever = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range = -b.range"
    sandbox = Sandbox([], timeout_s=0.2)
    with pytest.raises(QueryError, match=r"stopped after 0\.2 s"):
        sandbox.fetch(forever)
    assert sandbox.fetch("SELECT 1") == (["1"], [(1,)])
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer)]


def test_a_statement_that_takes_too_much_memory_is_refused():
    with pytest.raises(QueryError, match="more than 700 MB"):
        Sandbox([]).fetch("SELECT list(range) FROM range(1000000000)")


def test_a_result_with_too_many_rows_is_refused():
    with pytest.raises(QueryError, match="more than 2,000,000 rows; add a LIMIT"):
        Sandbox([]).fetch("SELECT * FROM range(2000001)")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT 1;",
        "FROM candidates",
        "WITH c AS (SELECT 1) SELECT * FROM c -- a comment",
        "SELECT * FROM (VALUES (1), (2)) UNION ALL SELECT 3 ORDER BY 1",
        "SELECT unnest([1, 2]), * FROM json_each('{}')",
        "SELECT median(params) OVER (ORDER BY key) FROM candidates",
    ],
)
def test_one_select_is_a_statement(text):
    assert Sandbox([]).statement(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "exactly one SELECT"),
        ("SELECT 1; SELECT 2", "exactly one SELECT"),
        ("SELECT 1; DROP TABLE t", "exactly one SELECT"),
        ("CREATE TABLE t AS SELECT 1", "exactly one SELECT"),
        ("INSERT INTO candidates VALUES (1)", "exactly one SELECT"),
        ("COPY candidates TO 'x'", "exactly one SELECT"),
        ("PRAGMA version", "exactly one SELECT"),
        ("EXPLAIN ANALYZE SELECT 1", "exactly one SELECT"),
        ("SET threads = 1", "exactly one SELECT"),
        ("CALL enable_logging()", "exactly one SELECT"),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", "may only SELECT"),
        ("SELEC 1", "not SQL: .*SELEC"),
        ("SELECT '\ud800'", "not UTF-8"),
        ("SELECT * FROM read_csv('x')", r"may not call read_csv\(\)"),
        ("SELECT (SELECT max(a) FROM Read_Text('x') t(a))", r"may not call read_text\(\)"),
        ("SELECT 1 UNION SELECT * FROM duckdb_settings()", r"may not call duckdb_settings\(\)"),
        ("SELECT * FROM query('COPY t TO ''x''')", r"may not call query\(\)"),
        ("SELECT * FROM arrow_scan(1, 2, 3)", r"may not call arrow_scan\(\)"),
        ("SELECT length(repeat('x', 3000000000))", r"may not call repeat\(\)"),
        ("SELECT 'x'.lpad(3000000000, 'y')", r"may not call lpad\(\)"),
    ],
)
def test_anything_else_is_refused(text, why):
    with pytest.raises(QueryError, match=why):
        Sandbox([]).statement(text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("params < 3", "params < 3"),
        ("a = 'x' -- or not", "a = 'x'"),
        ("key IN (SELECT key FROM candidates)", "key IN (SELECT key FROM candidates)"),
    ],
)
def test_one_condition_is_an_expression(text, meaning):
    sandbox = Sandbox([])
    assert sandbox.expression(text).replace("(", "").replace(")", "") == meaning.replace(
        "(", ""
    ).replace(")", "")


@pytest.mark.parametrize(
    "text",
    [
        "1 = 1) UNION SELECT (1",
        "1 = 1; DROP TABLE t",
        "1 = 1, 2 = 2",
        "1 = 1 /*",
        "(1 = 1",
        " ",
        "key IN (SELECT content FROM read_text('/etc/passwd'))",
        "length(repeat('x', 3000000000)) > 1",
        "key = '\ud800'",
    ],
)
def test_no_other_text_is_an_expression(text):
    with pytest.raises(QueryError):
        Sandbox([]).expression(text)
