import pytest
import torch

from gtn_nas.proxies.base import seed_of
from gtn_nas.proxies.gtn import GtnProxy
from gtn_nas.proxies.real_steps import RealStepsProxy
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.teacher.inner_loop import teach

from .candidates import STEPS, build, run, trial

BATCH = 32
RATES, MOMENTA = torch.full((STEPS,), 0.2), torch.full((STEPS,), 0.5)


@pytest.fixture(scope="module")
def training(digits):
    return digits.normalise(digits.train.images), digits.train.labels


@pytest.fixture(scope="module")
def proxy(training):
    return RealStepsProxy(*training, BATCH, RATES, MOMENTA)


def as_real(scores):
    return {f"real_{name}": scores[f"proxy_{name}"] for name in ("accuracy", "loss")}


def after_real_steps(proxy, candidate, data):
    scores = run(proxy, candidate, data)
    return {name: scores[name] for name in ("real_accuracy", "real_loss")}


def test_a_candidate_learns_from_real_images(proxy, data):
    scores = run(proxy, trial(), data)
    assert scores.keys() == {"real_accuracy", "real_loss", "real_training_loss"}
    one_step = RealStepsProxy(proxy.images, proxy.labels, BATCH, RATES[:1], MOMENTA[:1])
    assert scores["real_accuracy"] > 0.6 > run(one_step, trial(), data)["real_accuracy"]


def test_the_seed_decides_which_images_a_candidate_sees(proxy, training, data):
    rng = torch.Generator().manual_seed(5)
    lesson = real_lesson(*training, BATCH, RATES, MOMENTA, rng)
    assert after_real_steps(proxy, trial(seed=5), data) == as_real(
        run(GtnProxy(lesson), trial(seed=5), data)
    )
    other = real_lesson(*training, BATCH, RATES, MOMENTA, torch.Generator().manual_seed(6))
    assert after_real_steps(proxy, trial(seed=5), data) != as_real(
        run(GtnProxy(other), trial(seed=5), data)
    )


def test_a_score_does_not_depend_on_what_was_scored_before(proxy, data):
    before = run(proxy, trial(seed=1), data)
    run(proxy, trial(seed=2), data)
    assert run(proxy, trial(seed=1), data) == before


@pytest.mark.parametrize("budget", [1, 7])
def test_it_takes_all_its_steps_whatever_the_budget(proxy, data, budget):
    assert run(proxy, trial(budget=budget), data) == run(proxy, trial(), data)


@pytest.mark.parametrize(("steps", "late"), [(1, 1), (4, 1), (5, 2), (8, 2)])
def test_the_training_loss_is_that_of_the_last_quarter_of_the_steps(training, data, steps, late):
    rates, momenta = RATES[:1].expand(steps), MOMENTA[:1].expand(steps)
    lesson = real_lesson(*training, BATCH, rates, momenta, torch.Generator().manual_seed(5))
    losses = teach(build(trial(seed=5)), lesson)
    scores = run(RealStepsProxy(*training, BATCH, rates, momenta), trial(seed=5), data)
    assert scores["real_training_loss"] == pytest.approx(losses[-late:].mean().item())


def test_seeds_are_averaged_over(training, data):
    two = RealStepsProxy(*training, BATCH, RATES, MOMENTA, seeds=2)
    one = RealStepsProxy(*training, BATCH, RATES, MOMENTA)
    first, second = (run(one, trial(seed=s), data) for s in (4, seed_of(trial(seed=4), 1)))
    both = run(two, trial(seed=4), data)
    assert both == {n: pytest.approx((first[n] + second[n]) / 2) for n in first}
    assert first != second


def test_small_data_is_seen_pass_after_pass(training, data):
    images, labels = training
    few = images[:40], labels[:40], BATCH
    many_passes = RealStepsProxy(*few, RATES, MOMENTA, seeds=5)
    one_batch = RealStepsProxy(*few, RATES[:1], MOMENTA[:1], seeds=5)
    found, first = (run(p, trial(), data)["real_accuracy"] for p in (many_passes, one_batch))
    assert found > 2 * first


def test_a_candidate_that_diverges_has_no_score(training, data):
    proxy = RealStepsProxy(*training, BATCH, torch.full((STEPS,), 1e38), MOMENTA)
    with pytest.raises(FloatingPointError, match="non-finite"):
        run(proxy, trial(), data)
