import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.architecture import Architecture
from gtn_nas.data import load_dataset
from gtn_nas.errors import ConfigError, QueryError, RunFolderError
from gtn_nas.pretraining.checkpoint import Checkpoint
from gtn_nas.pretraining.learners import is_held_out, lesson_losses
from gtn_nas.pretraining.ranking_goal import (
    LEAST_LABELLED,
    LabelledSampler,
    RankingGoal,
    RankingLabels,
    load_labels,
)
from gtn_nas.proxies.size import count_parameters
from gtn_nas.ranking.score import Score
from gtn_nas.spaces import get_space
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.trial import Status

from ..labelled_run import SPACE, architectures, labelled, loss_of, write_labels
from ..results.samples import write_run
from ..teacher.samples import make_teacher

SHAPE, CLASSES, CPU = (1, 8, 8), 10, torch.device("cpu")
seeds = st.integers(0, 2**31 - 1)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


# reading


def test_labels_are_the_candidates_of_a_run_and_higher_is_better(tmp_path):
    labels = load_labels(write_labels(tmp_path / "run"), "real_loss", SPACE)
    assert set(labels.architectures) == set(architectures(40))
    assert labels.truths == tuple(-loss_of(a) for a in labels.architectures)


def test_a_column_where_higher_is_better_is_taken_as_it_is(tmp_path):
    records = [labelled(a, proxy_accuracy=loss_of(a)) for a in architectures(LEAST_LABELLED)]
    labels = load_labels(write_run(tmp_path / "run", records), "proxy_accuracy", SPACE)
    assert labels.truths == tuple(loss_of(a) for a in labels.architectures)


def test_labels_do_not_depend_on_the_order_of_a_run(tmp_path):
    records = [labelled(a) for a in architectures(LEAST_LABELLED)]
    one = load_labels(write_run(tmp_path / "one", records), "real_loss", SPACE)
    other = load_labels(write_run(tmp_path / "other", records[::-1]), "real_loss", SPACE)
    assert one == other
    assert one.fingerprint == other.fingerprint
    changed = replace(one, truths=(*one.truths[:-1], 0.5))
    assert changed.fingerprint != one.fingerprint
    assert replace(one, architectures=one.architectures[::-1]).fingerprint != one.fingerprint


def test_who_failed_or_has_no_truth_is_left_out_and_the_largest_budget_counts(tmp_path):
    *good, failed, unscored, twice = architectures(LEAST_LABELLED + 2)
    records = [labelled(a) for a in [*good, twice]]
    records += [labelled(failed, status=Status.DIVERGED), labelled(unscored, extra={})]
    records += [labelled(twice, budget=8, extra={"real_loss": 0.125})]
    labels = load_labels(write_run(tmp_path / "run", records), "real_loss", SPACE)
    assert set(labels.architectures) == {*good, twice}
    assert labels.truths[labels.architectures.index(twice)] == -0.125


@pytest.mark.parametrize("how", ["+", "*"])
def test_several_columns_count_as_they_rank_candidates(tmp_path, how):
    records = [
        labelled(a, params=size, extra={"nwot": float(-size % 7)})
        for size, a in enumerate(architectures(LEAST_LABELLED))
    ]
    column = f"params{how}nwot"
    labels = load_labels(write_run(tmp_path / "run", records), column, SPACE)
    expected = {
        r.key: -rank for r, rank in zip(records, Score.parse(column).ranks(records), strict=True)
    }
    assert {a.key: t for a, t in zip(labels.architectures, labels.truths, strict=True)} == expected


def test_a_larger_network_counts_as_the_better_one(tmp_path):
    records = [labelled(a, params=size) for size, a in enumerate(architectures(LEAST_LABELLED))]
    labels = load_labels(write_run(tmp_path / "run", records), "params", SPACE)
    best = max(zip(labels.truths, labels.architectures, strict=True), key=lambda pair: pair[0])[1]
    assert best == records[-1].architecture


def test_a_run_that_cannot_be_learned_from_is_refused(tmp_path):
    few = write_labels(tmp_path / "few", LEAST_LABELLED - 1)
    enough = write_labels(tmp_path / "run", LEAST_LABELLED)
    said = f"few has {LEAST_LABELLED - 1} candidates of conv_chain with a"
    with pytest.raises(ConfigError, match=said):
        load_labels(few, "real_loss", SPACE)
    with pytest.raises(ConfigError, match="has 0 candidates of nas_bench_201 with a real_loss"):
        load_labels(enough, "real_loss", get_space("nas_bench_201"))
    with pytest.raises(QueryError, match="unknown column 'real_los'; did you mean real_loss"):
        load_labels(enough, "real_los", SPACE)
    with pytest.raises(ConfigError, match="has 0 candidates of conv_chain with a proxy_loss"):
        load_labels(enough, "proxy_loss", SPACE)
    with pytest.raises(RunFolderError, match="no run folder"):
        load_labels(tmp_path / "nowhere", "real_loss", SPACE)


# held-out candidates, and learners


def all_labels(count=40):
    found = architectures(count)
    return RankingLabels(tuple(found), tuple(-loss_of(a) for a in found))


@given(count=st.integers(0, 60))
def test_the_two_parts_share_nothing_and_are_all(count):
    labels = all_labels(count)
    parts = {held_out: labels.part(held_out=held_out) for held_out in (True, False)}
    for held_out, part in parts.items():
        assert all(is_held_out(a) is held_out for a in part.architectures)
        assert part.truths == tuple(-loss_of(a) for a in part.architectures)
    together = parts[True].architectures + parts[False].architectures
    assert sorted(a.key for a in together) == sorted(a.key for a in labels.architectures)


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_a_seed_draws_the_same_candidate_as_a_network_and_as_a_truth(seed):
    found = architectures(40)
    sizes = [count_parameters(SPACE.build(a, SHAPE, CLASSES, "proxy")) for a in found]
    assert len(set(sizes)) > 30
    labels = RankingLabels(tuple(found), tuple(map(float, sizes)))
    sampler = LabelledSampler(labels, SPACE, SHAPE, CLASSES, CPU)
    network, same = sampler(seed), sampler(seed)
    assert count_parameters(network) == labels.truth(seed)
    assert all(map(torch.equal, network.parameters(), same.parameters()))


def test_all_candidates_are_drawn_and_with_other_weights_each_time():
    labels = all_labels(20)
    assert {labels.index_for(seed) for seed in range(400)} == set(range(20))
    sampler = LabelledSampler(labels, SPACE, SHAPE, CLASSES, CPU)
    first = labels.index_for(0)
    again = next(seed for seed in range(1, 400) if labels.index_for(seed) == first)
    pairs = zip(sampler(0).parameters(), sampler(again).parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


# how well a teacher ranks


@pytest.fixture
def lesson_at(digits):
    """Make a lesson of real digits with a constant rate."""

    def make(rate, steps=4):
        return real_lesson(
            digits.normalise(digits.train.images),
            digits.train.labels,
            32,
            torch.full((steps,), rate),
            torch.full((steps,), 0.5),
            torch.Generator().manual_seed(0),
        )

    return make


def goal_of(labels, digits):
    return RankingGoal(labels, SPACE, digits, digits.validation.first(50))


def test_the_correlation_is_of_held_out_candidates_with_their_truth(digits, lesson_at):
    labels = all_labels(60)
    backwards = replace(labels, truths=tuple(-t for t in labels.truths))
    lesson = lesson_at(0.1)
    found = goal_of(labels, digits).correlation(lesson)
    assert 0 < abs(found) < 1
    assert goal_of(backwards, digits).correlation(lesson) == pytest.approx(-found)
    assert goal_of(labels, digits).correlation(lesson) == found
    pairs = zip(labels.architectures, labels.truths, strict=True)
    others = [0.0 if not is_held_out(a) else t for a, t in pairs]
    assert goal_of(replace(labels, truths=tuple(others)), digits).correlation(lesson) == found


def state(teacher):
    return {name: tensor.clone() for name, tensor in teacher.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_the_best_teacher_so_far_is_kept(digits, lesson_at):
    goal = goal_of(all_labels(60), digits)
    lessons = {goal.correlation(lesson_at(rate)): lesson_at(rate) for rate in (0.0, 0.05, 0.3)}
    worst, middle, best = sorted(lessons)
    assert worst < middle < best
    teacher, states = make_teacher(), []
    for number, correlation in enumerate((middle, worst, best, middle)):
        with torch.no_grad():
            teacher.noise.fill_(number)
        states.append(state(teacher))
        assert goal.examine(lessons[correlation], teacher) == correlation
        kept = 0 if number < 2 else 2
        assert goal.best.correlation == (middle, best)[kept // 2]
        assert same(goal.best.teacher, states[kept])


def test_a_checkpoint_keeps_the_best_teacher_as_plain_values(digits, tmp_path):
    goal, teacher = goal_of(all_labels(60), digits), state(make_teacher())
    assert goal.state_dict() is None
    goal.load_state_dict({"correlation": 0.25, "teacher": teacher})
    checkpoint = Checkpoint(str(tmp_path / "checkpoint"))
    checkpoint.save({"best": goal.state_dict()})
    resumed = goal_of(all_labels(60), digits)
    resumed.load_state_dict(checkpoint.load(CPU)["best"])
    assert resumed.best.correlation == 0.25
    assert same(resumed.best.teacher, teacher)
    resumed.load_state_dict(None)
    assert resumed.best is None


def test_a_teacher_that_all_diverge_on_ranks_nobody_and_gives_way_to_the_next(digits, lesson_at):
    goal, teacher = goal_of(all_labels(60), digits), make_teacher()
    assert goal.examine(lesson_at(1e38), teacher) == 0
    later = max(goal.examine(lesson_at(rate), teacher) for rate in (0.05, 0.3))
    assert later > 0
    assert goal.best.correlation == later


def test_candidates_of_one_truth_have_no_order(digits, lesson_at):
    labels = all_labels(40)
    labels = replace(labels, truths=(1.0,) * 40)
    assert goal_of(labels, digits).correlation(lesson_at(0.1)) == 0


@settings(max_examples=10, deadline=None)
@given(rate=st.floats(0, 38).map(lambda power: 10**power), seed=seeds)
def test_the_loss_of_whoever_diverges_is_infinite(digits, rate, seed):
    sampler = LabelledSampler(all_labels(20), SPACE, SHAPE, CLASSES, CPU)
    lesson = real_lesson(
        digits.normalise(digits.train.images),
        digits.train.labels,
        32,
        torch.full((3,), rate),
        torch.full((3,), 0.5),
        torch.Generator().manual_seed(0),
    )
    (loss,) = lesson_losses(
        lambda seed: lesson, sampler, digits, digits.validation.first(50), [seed]
    )
    assert loss > 0
    assert not math.isnan(loss)


def test_too_few_held_out_candidates_are_refused(digits):
    held_in = all_labels(60).part(held_out=False)
    with pytest.raises(ConfigError, match=r"of \d+ labelled candidates, 0 are held out"):
        goal_of(held_in, digits)


def test_an_architecture_of_an_older_form_is_made_canonical(tmp_path):
    """A residual that no two widths allow is none."""
    found = architectures(LEAST_LABELLED)
    spoilt = next(a for a in found if a.choices["residual"] is False)
    loose = Architecture(spoilt.space, {**spoilt.choices, "unused": 1})
    records = [labelled(a) for a in found if a != spoilt] + [labelled(loose)]
    labels = load_labels(write_run(tmp_path / "run", records), "real_loss", SPACE)
    assert set(labels.architectures) == set(found)
