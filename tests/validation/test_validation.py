import json
import shutil

import pytest
from pyarrow import parquet

from gtn_nas.config.validate import ValidateConfig
from gtn_nas.errors import ConfigError, GtnNasError
from gtn_nas.ranking.statistics import MEASURES
from gtn_nas.results.query import load_run
from gtn_nas.teacher.artifact import read_header, weights_fingerprint
from gtn_nas.validation.validation import FIGURE, TABLE, Validation

from ..labelled_run import architectures
from .test_known_accuracies import write

FREE = ("nwot", "jacob_cov")


def ignore(progress):
    pass


@pytest.fixture
def table(tmp_path):
    """Truths that follow the number of layers."""
    rows = [(json.dumps(dict(a.choices)), 0.1 * a.choices["depth"]) for a in architectures(16)]
    return write(tmp_path / "truth.csv", rows)


def config(tmp_path, **values):
    defaults = {"executor": "inline", "out": tmp_path / "run", "candidates": 12}
    free = {"proxies": FREE, "rank_by": "jacob_cov+params"}
    return ValidateConfig(**defaults | free | values)


def test_scores_stand_beside_a_table(tmp_path, table):
    findings = Validation(config(tmp_path, truth=table)).run(ignore)
    found = {str(s.score): s for s in findings.scores}
    assert findings.count == 12
    assert set(found) == {"jacob_cov+params", *FREE, "params", "flops", "depth"}
    assert found["depth"].measures["spearman"].value > 0.9  # that is what the truth is
    assert str(findings.scores[0].score) == "depth"
    assert found["nwot"].seconds > 0
    assert found["params"].seconds is None
    rows = parquet.read_table(tmp_path / "run" / TABLE).to_pylist()
    assert len(rows) == len(found) * len(MEASURES)
    assert all(row["low"] <= row["high"] and row["n"] == 12 for row in rows)
    assert (tmp_path / "run" / FIGURE).read_bytes().startswith(b"\x89PNG")


def test_without_a_table_every_architecture_is_trained(tmp_path):
    asked = config(tmp_path, candidates=10, final_epochs=1)
    findings = Validation(asked).run(ignore)
    finals = load_run(tmp_path / "run").finals()
    assert findings.count == len(finals) == 10
    assert findings.truth == "test accuracy after 1 epochs"
    # A validation that ended is told again without any training.
    again = Validation(asked, resume=True).run(ignore)
    assert again.scores == findings.scores
    assert len(load_run(tmp_path / "run").finals()) == 10


def test_too_few_architectures_are_refused(tmp_path):
    rows = [(json.dumps(dict(a.choices)), 0.5) for a in architectures(9)]
    with pytest.raises(ConfigError, match="9 architectures with truth are too few"):
        Validation(config(tmp_path, truth=write(tmp_path / "t.csv", rows)))
    assert not (tmp_path / "run").exists()


def test_another_table_is_another_run(tmp_path, table):
    Validation(config(tmp_path, truth=table)).run(ignore)
    other = shutil.copy(table, tmp_path / "other.csv")
    with pytest.raises(GtnNasError, match="truth"):
        Validation(config(tmp_path, truth=other), resume=True)


def test_a_teacher_is_told_how_well_it_ranks(tmp_path, table, tiny_teacher):
    teacher = tmp_path / "t.safetensors"
    shutil.copy(tiny_teacher, teacher)
    before = weights_fingerprint(teacher)
    asked = config(tmp_path, truth=table, teacher=str(teacher), proxies=("gtn",))
    validation = Validation(asked)
    findings = validation.run(ignore)
    assert validation.tell_teacher(findings) == teacher
    ranking = read_header(teacher).ranking
    found = {str(s.score): s.measures["spearman"].value for s in findings.scores}
    assert {name: values[0] for name, values in ranking.spearman.items()} == found
    assert (ranking.count, ranking.space) == (12, "conv_chain")
    # Scores depend on the weights alone, so the run can be resumed.
    assert weights_fingerprint(teacher) == before
    Validation(asked, resume=True)
