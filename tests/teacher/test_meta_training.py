import io
import math
from statistics import mean
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from gtn_nas.config.pretrain import Curriculum
from gtn_nas.data.augmentation import augmentation_for
from gtn_nas.errors import MetaTrainingError
from gtn_nas.teacher.curriculum import RealData
from gtn_nas.teacher.meta_config import MetaConfig
from gtn_nas.teacher.meta_training import MAX_SKIPPED_IN_A_ROW, MetaTrainer
from gtn_nas.trial import derived_seed

from .samples import BATCH, STEPS, are_equal, make_learner, make_teacher, train_images, weights


class Learners:
    """Makes learners, and leaves torch's global generator as it is.

    Those of the seeds in ``broken`` have weights that are not finite.
    """

    def __init__(self, broken=()):
        self.broken = set(broken)

    def __call__(self, seed, weights=None):
        with torch.random.fork_rng():
            learner = make_learner(seed if weights is None else weights)
        if seed in self.broken:
            with torch.no_grad():
                next(learner.parameters()).fill_(math.nan)
        return learner


def seed_of(iteration, learner=0):
    return derived_seed(0, iteration, learner)


@pytest.fixture
def make_trainer(digits):
    images, labels = train_images(digits)

    def make(source=None, broken=(), augment=None, truth=None, **settings):
        config = MetaConfig(**{"iterations": 20, "real_batch_size": 64, "loss_every": 2} | settings)
        source = source or make_teacher()
        return MetaTrainer(source, config, Learners(broken), images, labels, augment, truth)

    return make


def norm_of(tensors):
    return math.sqrt(sum(t.double().square().sum().item() for t in tensors))


def gradients(trainer):
    return [p.grad for p in trainer.parameters]


# learning


def test_the_meta_loss_falls(make_trainer):
    settings = {"iterations": 80, "real_batch_size": 256}
    steps = list(make_trainer(make_teacher(batch_size=40), **settings).run())
    losses, accuracies = [s.meta_loss for s in steps], [s.accuracy for s in steps]
    assert mean(losses[-10:]) < 0.9 * mean(losses[:10])
    assert mean(accuracies[-10:]) > mean(accuracies[:10]) + 0.1


def test_steps_are_counted(make_trainer):
    trainer = make_trainer(iterations=3)
    assert [step.iteration for step in trainer.run()] == [1, 2, 3]
    assert trainer.iteration == 3
    assert list(trainer.run()) == []


def test_all_parts_of_a_teacher_are_learned(make_trainer):
    trainer = make_trainer()
    before = weights(trainer.source)
    trainer.step()
    after = weights(trainer.source)
    assert not [name for name in before if torch.equal(before[name], after[name])]


@pytest.mark.parametrize("curriculum", get_args(Curriculum))
def test_every_curriculum_learns_what_it_may(make_trainer, curriculum):
    trainer = make_trainer(make_teacher(curriculum=curriculum), iterations=2)
    before, may = weights(trainer.source), {}
    for name, parameter in trainer.source.named_parameters():
        may[name] = parameter.requires_grad
    assert all(math.isfinite(step.meta_loss) for step in trainer.run())
    after = weights(trainer.source)
    assert {n: not torch.equal(before[n], after[n]) for n in before} == may


def test_outer_rates_rise_before_they_fall(make_trainer):
    trainer = make_trainer(make_teacher(inner_steps=1), iterations=50)
    rates = [trainer.optimiser.param_groups[0]["lr"] for _ in trainer.run()]
    highest = rates.index(max(rates))
    assert highest == 50 // 10
    assert rates[: highest + 1] == sorted(rates[: highest + 1])
    assert rates[0] == pytest.approx(trainer.optimiser.param_groups[0]["base"] / 6)


def test_the_control_learns_step_sizes_alone(make_trainer, digits):
    images, labels = train_images(digits)
    control = RealData(images.clone(), labels.clone(), STEPS, BATCH)
    before = weights(control)
    steps = list(make_trainer(control, iterations=3).run())
    assert all(math.isfinite(step.meta_loss) for step in steps)
    assert before.keys() == {"step_sizes.log_rate", "step_sizes.momentum_logit"}
    assert not torch.equal(control.step_sizes.log_rate, before["step_sizes.log_rate"])
    assert torch.equal(control.images, images)
    assert torch.equal(control.labels, labels)


def test_all_outer_rates_are_scaled_together(make_trainer):
    bases = [
        [group["base"] for group in make_trainer(rate_scale=scale).optimiser.param_groups]
        for scale in (1.0, 0.25)
    ]
    assert bases[1] == pytest.approx([rate / 4 for rate in bases[0]])


def test_outer_rates_fall_to_a_tenth(make_trainer):
    own = {
        "learning_rate": 1e-3,
        "noise_learning_rate": 5e-3,
        "label_learning_rate": 1e-2,
        "step_size_learning_rate": 1e-4,
    }
    trainer = make_trainer(make_teacher(inner_steps=1), iterations=6, **own)
    rates = [{group["lr"] for group in trainer.optimiser.param_groups} for _ in trainer.run()]
    assert sorted(rates[0]) == pytest.approx(sorted(own.values()))
    shares = [max(step) / 1e-2 for step in rates]
    assert shares == sorted(shares, reverse=True)
    assert 0.1 < shares[-1] < 0.2


@pytest.mark.parametrize("window", [1, 2, STEPS, None])
def test_the_window_is_somewhere_in_the_lesson(make_trainer, window):
    trainer = make_trainer(window=window, iterations=15, learners_per_step=2)
    labels = next(i for i, p in enumerate(trainer.parameters) if p is trainer.source.label_logits)
    size, starts, one_by_one = window or STEPS, [], trainer.exchange

    def watched(seeds, shared):
        start, results = shared.start, one_by_one(seeds, shared)
        for result in results:  # all learners of a step have the same window
            by_step = result.gradients[labels].flatten(1).any(1)
            assert by_step.nonzero().flatten().tolist() == list(range(start, start + size))
        starts.append(start)
        return results

    trainer.exchange = watched
    assert len(list(trainer.run())) == 15
    assert set(starts) == set(range(STEPS - size + 1))


def test_half_of_the_real_images_are_distorted(make_trainer):
    seen = []

    def augment(images):
        seen.append(images.clone())
        return images * 0

    plain, distorted = make_trainer(), make_trainer(augment=augment)
    assert distorted.meta_gradient(1).loss != plain.meta_gradient(1).loss
    assert [len(images) for images in seen] == [32]


# the same again


def test_a_resumed_run_equals_an_undisturbed_one(make_trainer):
    def make():
        settings = {"learners_per_step": 2, "window": 2, "clip_factor": 0.5}
        return make_trainer(iterations=4, augment=augmentation_for(1), **settings)

    undisturbed = make()
    steps = list(undisturbed.run())

    stopped, kept = make(), io.BytesIO()
    first = [stopped.step(), stopped.step()]
    torch.save(stopped.state_dict(), kept)
    stopped.step()
    torch.manual_seed(99)
    kept.seek(0)
    resumed = make()
    resumed.load_state_dict(torch.load(kept, weights_only=True))
    assert first + list(resumed.run()) == steps
    assert are_equal(weights(resumed.source), weights(undisturbed.source))


def test_the_seed_decides_a_meta_gradient(make_trainer):
    trainer = make_trainer(augment=augmentation_for(1))
    one, same, other = (trainer.meta_gradient(seed) for seed in (1, 1, 2))
    assert (one.norm, one.loss, one.accuracy) == (same.norm, same.loss, same.accuracy)
    assert all(map(torch.equal, one.gradients, same.gradients))
    assert one.norm != other.norm


# averages and clipping


def test_the_reported_norm_is_that_of_all_gradients_together(make_trainer):
    result = make_trainer().meta_gradient(1)
    assert result.norm == pytest.approx(norm_of(result.gradients), rel=1e-5)


@pytest.mark.parametrize("usual_norm", [1e-6, 1.0, 1e6], ids=["all clipped", "usual", "none"])
def test_a_step_follows_the_mean_of_the_clipped_gradients(make_trainer, usual_norm):
    trainer = make_trainer(learners_per_step=3, clip_factor=2.0)
    trainer.log_norm = log_norm = math.log(usual_norm)
    learners = [trainer.meta_gradient(seed_of(0, i)) for i in range(3)]
    expected = [torch.zeros_like(p) for p in trainer.parameters]
    for learner in learners:
        log_norm = 0.9 * log_norm + 0.1 * math.log(learner.norm)
        allowed = min(learner.norm, 2 * math.exp(log_norm))
        for total, gradient in zip(expected, learner.gradients, strict=True):
            total += gradient * (allowed / learner.norm) / 3
    step = trainer.step()
    rounding = 1e-7 * norm_of(expected)
    torch.testing.assert_close(gradients(trainer), expected, rtol=1e-4, atol=rounding)
    assert trainer.log_norm == pytest.approx(log_norm)
    assert step.gradient_norm == pytest.approx(mean(learner.norm for learner in learners))
    assert step.meta_loss == pytest.approx(mean(learner.loss for learner in learners))
    assert step.accuracy == pytest.approx(mean(learner.accuracy for learner in learners))


def test_the_first_gradient_of_all_is_not_clipped(make_trainer):
    trainer = make_trainer()
    step = trainer.step()
    assert norm_of(gradients(trainer)) == pytest.approx(step.gradient_norm, rel=1e-5)
    assert math.exp(trainer.log_norm) == pytest.approx(step.gradient_norm)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_gradient_reaches_no_further_than_so_many_times_the_usual(make_trainer, factor):
    trainer = make_trainer(clip_factor=factor)
    trainer.log_norm = math.log(1e-6)
    step = trainer.step()
    usual = 1e-6**0.9 * step.gradient_norm**0.1
    assert norm_of(gradients(trainer)) == pytest.approx(factor * usual, rel=1e-4)


# ranking


def truth_of(seed):
    """Three truths that follow from the seed."""
    return float(seed % 3)


def objective(losses, truths, weight, sharpness):
    """The mean loss and the mean logistic loss of every pair of different truth."""
    pairs = [
        -F.logsigmoid(sharpness * (losses[worse] - losses[better]))
        for better in range(len(losses))
        for worse in range(len(losses))
        if truths[better] > truths[worse]
    ]
    return losses.mean() + weight * torch.stack(pairs).mean()


def test_learners_are_ranked_where_candidates_are_at_the_end_of_the_lesson(make_trainer):
    ranking = {"learners_per_step": 2, "ranking_weight": 0.5, "truth": truth_of, "window": 2}
    ranked, plain = make_trainer(**ranking), make_trainer(window=2)
    starts = {name: set() for name in ("ranked", "plain")}
    for iteration in range(20):
        for name, trainer in (("ranked", ranked), ("plain", plain)):
            trainer.iteration = iteration
            starts[name].add(trainer._shared().start)
    assert starts == {"ranked": {ranked.steps - 2}, "plain": set(range(plain.steps - 1))}


def test_learners_that_are_ranked_are_judged_by_the_same_images(make_trainer):
    judged = []

    def augment(images):
        judged.append(images.clone())
        return images

    ranked = make_trainer(
        learners_per_step=2, ranking_weight=0.5, truth=truth_of, augment=augment, iterations=2
    )
    list(ranked.run())
    first, second, third, fourth = judged
    assert torch.equal(first, second)
    assert torch.equal(third, fourth)
    assert not torch.equal(first, third)


@pytest.mark.parametrize("broken", [[], [seed_of(0, 1)]], ids=["all", "one lost"])
@pytest.mark.parametrize("sharpness", [1.0, 8.0])
def test_a_step_follows_the_gradient_of_mean_loss_and_ranking_term(make_trainer, sharpness, broken):
    weight = 0.7
    trainer = make_trainer(
        learners_per_step=5,
        clip_factor=1e30,
        ranking_weight=weight,
        ranking_sharpness=sharpness,
        truth=truth_of,
        broken=broken,
    )
    shared, seeds = trainer._shared(), [seed_of(0, i) for i in range(5)]
    seeds = [seed for seed in seeds if seed not in broken]
    truths = [truth_of(seed) for seed in seeds]
    assert len(set(truths)) > 1
    learners = [trainer.meta_gradient(seed, shared) for seed in seeds]
    losses = torch.tensor([r.loss for r in learners], dtype=torch.float64, requires_grad=True)
    total = objective(losses, truths, weight, sharpness)
    (factors,) = torch.autograd.grad(total, losses)
    assert factors.tolist() != pytest.approx([1 / len(seeds)] * len(seeds), rel=0.01)
    step = trainer.step()
    for index, found in enumerate(gradients(trainer)):
        parts = [f * r.gradients[index] for f, r in zip(factors.tolist(), learners, strict=True)]
        expected = torch.stack(parts).sum(0)
        rounding = 1e-6 * norm_of(parts)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=rounding)
    assert step.meta_loss == pytest.approx(mean(r.loss for r in learners))


@pytest.mark.parametrize(
    ("weight", "truth"), [(0.0, truth_of), (0.7, lambda seed: 0.5)], ids=["no weight", "all equal"]
)
def test_without_anything_to_rank_a_step_is_the_plain_one(make_trainer, weight, truth):
    plain = make_trainer(iterations=2, learners_per_step=3, truth=truth_of)
    ranking = make_trainer(iterations=2, learners_per_step=3, ranking_weight=weight, truth=truth)
    assert list(ranking.run()) == list(plain.run())
    assert are_equal(weights(ranking.source), weights(plain.source))


def test_truths_change_a_step_that_ranks(make_trainer):
    settings = {"iterations": 1, "learners_per_step": 3, "ranking_weight": 0.7}
    one = make_trainer(truth=truth_of, **settings)
    other = make_trainer(truth=lambda seed: -truth_of(seed), **settings)
    assert one.step() == other.step()
    assert not are_equal(weights(one.source), weights(other.source))


@pytest.mark.parametrize(("truth", "learners"), [(None, 3), (truth_of, 1)])
def test_a_ranking_term_needs_truths_and_two_learners(make_trainer, truth, learners):
    with pytest.raises(ValueError, match="needs truths, and two learners or more"):
        make_trainer(truth=truth, learners_per_step=learners, ranking_weight=0.7)
    make_trainer(truth=truth, learners_per_step=learners)


# what is not finite


def test_a_learner_that_is_not_finite_is_left_out(make_trainer):
    alone = make_trainer(iterations=2)
    beside = make_trainer(iterations=2, learners_per_step=2, broken=[seed_of(0, 1), seed_of(1, 1)])
    assert list(beside.run()) == list(alone.run())
    assert are_equal(weights(beside.source), weights(alone.source))
    assert beside.skipped == 0


def test_a_step_of_learners_that_are_all_not_finite_is_skipped_and_counted(make_trainer):
    trainer = make_trainer(learners_per_step=2, broken=[seed_of(1, 0), seed_of(1, 1)])
    assert not trainer.step().skipped
    before, usual = weights(trainer.source), trainer.log_norm
    step = trainer.step()
    assert step.skipped
    assert not math.isfinite(step.meta_loss)
    assert trainer.skipped == 1
    assert trainer.log_norm == usual
    assert are_equal(weights(trainer.source), before)
    step = trainer.step()
    assert (step.iteration, step.skipped) == (3, False)
    assert trainer.skipped == 1
    assert all(p.isfinite().all() for p in trainer.parameters)


def test_ten_such_steps_in_a_row_end_the_training(make_trainer):
    broken = [seed_of(i) for i in range(40) if i != MAX_SKIPPED_IN_A_ROW - 1]
    trainer = make_trainer(make_teacher(inner_steps=1), iterations=40, broken=broken)
    steps = []
    with pytest.raises(MetaTrainingError, match="10 steps in a row were not finite"):
        steps.extend(trainer.run())
    finite = [step.iteration for step in steps if not step.skipped]
    assert finite == [MAX_SKIPPED_IN_A_ROW]
    assert len(steps) == 2 * MAX_SKIPPED_IN_A_ROW - 1
    assert trainer.skipped == 2 * MAX_SKIPPED_IN_A_ROW - 1
