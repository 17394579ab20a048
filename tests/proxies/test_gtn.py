import math
import random
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.proxies.base import seed_of
from gtn_nas.proxies.gtn import GtnProxy, score_after
from gtn_nas.teacher.curriculum import Teacher, TeacherConfig
from gtn_nas.teacher.inner_loop import teach

from .candidates import CLASSES, SHAPE, SPACE, STEPS, architecture, build, run, trial


def test_the_improvement_is_computed_only_where_it_is_asked_for(lesson, data):
    alone = run(GtnProxy(lesson), trial(), data).keys()
    assert alone == {"proxy_accuracy", "proxy_loss", "gtn_drop"}
    both = run(GtnProxy(lesson, improvement=True), trial(), data).keys()
    assert both == alone | {"gtn_improvement"}


def test_a_candidate_learns_from_the_lesson(lesson, data):
    few, all_steps = (run(GtnProxy(lesson), trial(budget=budget), data) for budget in (1, STEPS))
    assert all_steps["proxy_accuracy"] > 0.6 > few["proxy_accuracy"]
    assert all_steps["proxy_loss"] < few["proxy_loss"]


def test_the_scores_are_those_of_the_validation_images(lesson, data):
    learner = build(trial())
    scores = score_after(learner, lesson, data).columns
    logits = learner.eval()(data.images)
    right = sum(int(logits[i].argmax()) == int(data.labels[i]) for i in range(len(logits)))
    assert scores["proxy_accuracy"] == pytest.approx(right / len(logits))
    loss = -logits.log_softmax(1)[torch.arange(len(logits)), data.labels].mean().item()
    assert scores["proxy_loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("norm", SPACE.choices["norm"])
def test_a_score_depends_on_the_seed_alone(lesson, data, norm):
    proxy, candidate = GtnProxy(lesson), trial(architecture(norm=norm))
    before = run(proxy, candidate, data)
    assert run(proxy, replace(candidate, seed=1), data) != before
    torch.manual_seed(99)
    assert run(proxy, candidate, data) == before


@pytest.mark.parametrize("budget", [1, 5, STEPS])
def test_a_smaller_budget_takes_the_first_steps(lesson, data, budget):
    images = lesson.images.clone()
    images[budget:] = math.nan
    unreadable_later = replace(lesson, images=images)
    scores = run(GtnProxy(lesson), trial(budget=budget), data)
    assert run(GtnProxy(unreadable_later), trial(budget=budget), data) == scores
    assert run(GtnProxy(lesson.first(budget)), trial(budget=budget), data) == scores


def test_a_budget_beyond_the_lesson_is_an_error(lesson, data):
    with pytest.raises(ValueError, match=f"{STEPS + 1} steps, but the lesson has {STEPS}"):
        run(GtnProxy(lesson), trial(budget=STEPS + 1), data)


def test_batch_statistics_are_those_of_the_calibration_images(lesson, data):
    """Neither those of the lesson, whose images are others, nor those of the scored images."""
    learner = build(trial(architecture(norm="batch_norm")))
    score_after(learner, lesson, data)
    first_norm = learner[0].body[1]
    features = learner[0].body[0](data.calibration)
    torch.testing.assert_close(first_norm.running_mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(first_norm.running_var, features.var((0, 2, 3)))


@settings(max_examples=15, deadline=None)
@given(rate=st.floats(-3, 38).map(lambda power: 10**power), seed=st.integers(0, 2**31 - 1))
def test_scores_are_finite_or_there_are_none(make_lesson, data, rate, seed):
    candidate = trial(SPACE.sample(random.Random(seed)), budget=4, seed=seed)
    with suppress(FloatingPointError):  # no score is an answer too
        scores = run(GtnProxy(make_lesson(rate), improvement=True), candidate, data)
        assert 0 <= scores["proxy_accuracy"] <= 1
        assert 0 <= scores["proxy_loss"] < math.inf
        assert all(map(math.isfinite, scores.values()))


@pytest.mark.parametrize("norm", SPACE.choices["norm"])
def test_a_lesson_that_makes_a_candidate_diverge_gives_no_score(make_lesson, data, norm):
    with pytest.raises(FloatingPointError, match="parameters became non-finite"):
        run(GtnProxy(make_lesson(1e38)), trial(architecture(norm=norm)), data)


def test_a_loss_that_is_not_finite_is_no_score(lesson, data):
    unreadable = replace(data, images=torch.full_like(data.images, math.nan))
    with pytest.raises(FloatingPointError, match="loss on validation images is not finite"):
        run(GtnProxy(lesson), trial(), unreadable)


def test_a_teacher_s_own_lesson_can_be_used(data):
    torch.manual_seed(0)
    sizes = TeacherConfig(
        SHAPE, CLASSES, inner_steps=3, batch_size=16, noise_dim=4, hidden=16, channels=8
    )
    lesson = Teacher(sizes).lesson()
    assert lesson.images.requires_grad
    assert math.isfinite(run(GtnProxy(lesson), trial(budget=3), data)["proxy_loss"])


# what a lesson changes


@pytest.mark.parametrize("norm", SPACE.choices["norm"])
@pytest.mark.parametrize("budget", [1, 5, STEPS])
def test_the_drop_is_of_the_loss_on_synthetic_batches(lesson, data, norm, budget):
    candidate, first = trial(architecture(norm=norm), budget=budget), lesson.first(budget)

    @torch.no_grad()
    def loss(learner, step):
        logits = learner.train()(first.images[step])
        return F.cross_entropy(logits, first.labels[step]).item()

    learner = build(candidate)
    before = loss(learner, 0)
    teach(learner, first)
    drop = before - loss(learner, budget - 1)
    assert run(GtnProxy(lesson), candidate, data)["gtn_drop"] == pytest.approx(drop, abs=1e-5)
    assert drop > 0


@pytest.mark.parametrize("norm", SPACE.choices["norm"])
def test_other_scores_do_not_depend_on_what_else_is_asked_for(lesson, data, norm):
    candidate = trial(architecture(norm=norm))
    alone = run(GtnProxy(lesson), candidate, data)
    scores = run(GtnProxy(lesson, improvement=True), candidate, data)
    assert {name: scores[name] for name in alone} == alone
    plain = score_after(build(candidate), lesson, data).columns
    assert {name: scores[name] for name in plain} == plain


@pytest.mark.parametrize(("budget", "early"), [(1, 1), (5, 1), (STEPS, 3)])
def test_the_improvement_is_of_the_real_loss_after_a_quarter_of_the_lesson(
    lesson, data, budget, early
):
    proxy = GtnProxy(lesson, improvement=True)
    losses = [run(proxy, trial(budget=steps), data)["proxy_loss"] for steps in (early, budget)]
    improvement = run(proxy, trial(budget=budget), data)["gtn_improvement"]
    assert improvement == losses[0] - losses[1]
    assert (improvement > 0) is (budget > 1)


def test_a_lesson_that_teaches_nothing_has_no_improvement(make_lesson, data):
    assert run(GtnProxy(make_lesson(0.0), improvement=True), trial(), data)["gtn_improvement"] == 0


def test_a_candidate_that_diverges_late_has_no_score(lesson, data):
    rates = lesson.learning_rates.clone()
    rates[-1] = 1e38
    steep = GtnProxy(replace(lesson, learning_rates=rates), improvement=True)
    with pytest.raises(FloatingPointError, match="parameters became non-finite"):
        run(steep, trial(), data)


# several initialisations


def test_seeds_are_averaged_over(lesson, data):
    candidate = trial(seed=4)
    singles = [
        run(GtnProxy(lesson), replace(candidate, seed=seed_of(candidate, i)), data)
        for i in range(3)
    ]
    means = {name: sum(s[name] for s in singles) / 3 for name in singles[0]}
    assert run(GtnProxy(lesson, seeds=3), candidate, data) == pytest.approx(means)
    assert len({s["proxy_loss"] for s in singles}) == 3
