"""What ranks where nobody says depends on what is known of the teacher."""

import shutil

import pytest

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.errors import ConfigError
from gtn_nas.searching.default_ranking import RANK_BY, RANK_BY_TEACHER, decided_ranking
from gtn_nas.teacher.artifact import (
    MeasuredRanking,
    read_header,
    replace_header,
    shipped_teachers,
)

DIGITS = shipped_teachers()["digits-conv_chain"]
ALL = ("gtn", "jacob_cov")


def found(spearman, space="conv_chain", score="proxy_loss"):
    """The header of a teacher that was found to rank."""
    ranking = MeasuredRanking(
        truth="a table",
        space=space,
        count=60,
        spearman={score: (spearman, spearman - 0.1, spearman + 0.1)},
    )
    return read_header(DIGITS).model_copy(update={"ranking": ranking})


def decided(config, teacher, proxies=ALL):
    return decided_ranking(config, teacher, proxies)


def test_a_teacher_counts_where_it_was_found_to_rank():
    open_ = SearchConfig()
    assert decided(open_, found(0.8)) == (RANK_BY_TEACHER, 3)
    assert decided(open_, found(0.7)) == (RANK_BY, 1)
    assert decided(open_, found(0.8, space="nas_bench_201")) == (RANK_BY, 1)
    assert decided(open_, found(0.8, score="proxy_accuracy")) == (RANK_BY, 1)
    assert decided(open_, read_header(DIGITS)) == (RANK_BY, 1)
    assert decided(open_, None, ("jacob_cov",)) == (RANK_BY, 1)
    assert decided(open_, found(0.8), ("gtn_untrained", "jacob_cov")) == (RANK_BY, 1)


def test_what_somebody_says_stays():
    teacher = found(0.8)
    assert decided(SearchConfig(rank_by="params"), teacher) == ("params", 1)
    assert decided(SearchConfig(proxy_seeds=2), teacher) == (RANK_BY_TEACHER, 2)
    assert decided(SearchConfig(rank_by="nwot", proxy_seeds=5), teacher) == ("nwot", 5)


@pytest.mark.parametrize(
    ("name", "rank_by", "seeds"),
    [
        ("cifar10-nas_bench_201", RANK_BY_TEACHER, 3),
        ("digits-conv_chain", RANK_BY, 1),
        ("mnist-conv_chain", RANK_BY, 1),
    ],
)
def test_which_shipped_teachers_count(name, rank_by, seeds):
    header = read_header(shipped_teachers()[name])
    assert decided(SearchConfig(space=header.space), header) == (rank_by, seeds)


@pytest.fixture
def config(tmp_path):
    """A search with a teacher of digits that was found to rank."""
    path = tmp_path / "ranks.safetensors"
    shutil.copy(DIGITS, path)
    replace_header(path, found(0.8))
    return SearchConfig(
        teacher=str(path), candidates=3, top_k=0, executor="inline", out=tmp_path / "run"
    )


def test_a_search_ranks_by_what_was_decided_and_its_run_says_so(config):
    result = search(config)
    assert all({"jacob_cov", "synflow"} < r.extra.keys() for r in result.ranking)
    assert [row["key"] for row in load_run(config.out).top(3)] == [r.key for r in result.ranking]
    stored = (config.out / "config.yaml").read_text()
    assert f"rank_by: {RANK_BY_TEACHER}" in stored
    assert "proxy_seeds: 3" in stored


def test_a_resumed_search_keeps_what_was_decided(config):
    config = config.model_copy(update={"objectives": ("nwot",)})
    search(config)
    replace_header(config.out.parent / "ranks.safetensors", found(0.1))
    more = search(config.model_copy(update={"candidates": 5}), resume=True)
    assert len(more.ranking) == 5
    assert f"rank_by: {RANK_BY_TEACHER}" in (config.out / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"rank_by: .*proxy_loss -> params"):
        search(config.model_copy(update={"rank_by": "params"}), resume=True)
