import csv
import json

import pandas as pd
import pytest

from gtn_nas.errors import ConfigError
from gtn_nas.spaces import get_space
from gtn_nas.validation.known_accuracies import load_known_accuracies

from ..labelled_run import SPACE, architectures

CELLS = (
    "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|",
    "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|",
    "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
)


def write(path, rows, columns=("arch", "accuracy")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def read(path, space=SPACE, column="accuracy"):
    return load_known_accuracies(path, "arch", column, space)


def rows_of(count, accuracy=lambda i: 0.5 + i / 100):
    return [(json.dumps(dict(a.choices)), accuracy(i)) for i, a in enumerate(architectures(count))]


def test_accuracies_are_fractions_or_per_cent(tmp_path):
    fractions = read(write(tmp_path / "f.csv", rows_of(12)))
    percents = read(write(tmp_path / "p.csv", rows_of(12, lambda i: 50 + i)))
    assert fractions.accuracies == pytest.approx(percents.accuracies)
    assert [a.key for a in fractions.architectures] == [a.key for a in architectures(12)]


def test_a_table_may_be_parquet(tmp_path):
    rows = rows_of(12)
    pd.DataFrame(rows, columns=["arch", "accuracy"]).to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == read(write(tmp_path / "t.csv", rows))


def test_equal_networks_count_once_by_their_first_row(tmp_path):
    path = write(tmp_path / "t.csv", [(cell, 80 + i) for i, cell in enumerate(CELLS)])
    space = get_space("nas_bench_201")
    # The second is dead: no edge leads to its output but by the first node.
    keys = {space.from_string(cell).key for cell in CELLS}
    truth = read(path, space)
    assert {a.key for a in truth.architectures} == keys
    assert truth.merged == len(CELLS) - len(keys)


def test_a_sample_is_random_and_repeatable(tmp_path):
    truth = read(write(tmp_path / "t.csv", rows_of(30)))
    known = {a.key: v for a, v in zip(truth.architectures, truth.accuracies, strict=True)}
    some = truth.sample(10, seed=0)
    assert some == truth.sample(10, seed=0) != truth.sample(10, seed=1)
    found = {a.key: v for a, v in zip(some.architectures, some.accuracies, strict=True)}
    assert len(found) == 10
    assert found.items() <= known.items()
    assert len(truth.sample(99, seed=0).architectures) == 30


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([*rows_of(3), rows_of(1)[0]], "row 4 repeats row 1"),
        ([*rows_of(3), ('{"depth": 77}', 0.5)], "row 4"),
        ([*rows_of(3), ("no json", 0.5)], "row 4"),
        ([*rows_of(2), (rows_of(3)[2][0], -0.1)], "row 3 has accuracy"),
        ([*rows_of(2, lambda i: 50 + i), (rows_of(3)[2][0], 101)], "row 3 has accuracy"),
        ([*rows_of(2), (rows_of(3)[2][0], "")], "row 3 has accuracy"),
        ([*rows_of(2), (rows_of(3)[2][0], "nan")], "row 3 has accuracy"),
    ],
    ids=["twice", "unknown choice", "no architecture", "negative", "above 100", "missing", "nan"],
)
def test_bad_rows_are_named(tmp_path, rows, named):
    with pytest.raises(ConfigError, match=named):
        read(write(tmp_path / "t.csv", rows))


def test_of_many_bad_rows_some_are_named_and_the_others_counted(tmp_path):
    with pytest.raises(ConfigError, match=r"row 1\b.*row 5\b.*and 3 more"):
        read(write(tmp_path / "t.csv", [(f"bad {i}", 0.5) for i in range(8)]))


def test_a_missing_column_or_file_is_named(tmp_path):
    path = write(tmp_path / "t.csv", rows_of(3))
    with pytest.raises(ConfigError, match="no column 'top1'; it has arch, accuracy"):
        read(path, column="top1")
    with pytest.raises(ConfigError, match=r"cannot read the table .*none\.csv"):
        read(tmp_path / "none.csv")
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    with pytest.raises(ConfigError, match="cannot read the table"):
        read(tmp_path / "t.parquet")
