import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.teacher.warm_start import choose_targets, fit_to_images

from .samples import are_equal, make_teacher, train_images, weights

seeds = st.integers(0, 2**31 - 1)


@settings(deadline=None)
@given(data=st.data(), classes=st.integers(1, 6), seed=seeds)
def test_each_synthetic_image_stands_for_one_of_its_class_all_equally_often(data, classes, seed):
    more = data.draw(st.lists(st.integers(0, classes - 1), max_size=20))
    labels = torch.tensor(data.draw(st.permutations([*range(classes), *more])))
    wanted = torch.tensor(data.draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=40)))
    chosen = choose_targets(labels, wanted, torch.Generator().manual_seed(seed))
    assert torch.equal(labels[chosen], wanted)
    times = torch.bincount(chosen, minlength=len(labels))
    for label in wanted.unique():
        of_class = times[labels == label]
        assert of_class.max() - of_class.min() <= 1


def test_the_seed_decides_the_choice(digits):
    labels, wanted = digits.train.labels, torch.arange(100) % 10
    one, same, other = (
        choose_targets(labels, wanted, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.fixture
def fit(digits):
    """Fit a fresh teacher to real digits of its classes."""
    images, labels = train_images(digits)

    def run(steps, seed=0, curriculum="full"):
        teacher = make_teacher(noise_dim=8, hidden=64, channels=32, curriculum=curriculum)
        rng = torch.Generator().manual_seed(seed)
        targets = images[choose_targets(labels, teacher.labels.flatten(), rng)]
        return teacher, targets, list(fit_to_images(teacher, targets, steps, rng))

    return run


def test_the_lesson_comes_to_look_like_real_images(fit):
    teacher, targets, errors = fit(steps=150)
    assert len(errors) == 150
    assert errors[-1] < 0.2 * errors[0]
    drawn = teacher.lesson().images.flatten(0, 1)
    distances = torch.cdist(drawn.flatten(1), targets.flatten(1))
    nearest_is_its_own = distances.argmin(1) == torch.arange(len(targets))
    assert nearest_is_its_own.float().mean() > 0.7


def test_only_noise_and_generator_are_fitted(fit):
    before, after = weights(fit(steps=0)[0]), weights(fit(steps=2)[0])
    unchanged = {name for name in before if torch.equal(before[name], after[name])}
    assert unchanged == {"label_logits", "step_sizes.log_rate", "step_sizes.momentum_logit"}


def test_the_same_seed_fits_the_same(fit):
    one, same, other = (fit(steps=5, seed=seed) for seed in (0, 0, 1))
    assert one[2] == same[2]
    assert are_equal(weights(one[0]), weights(same[0]))
    assert one[2] != other[2]


# other curricula


def test_pixels_become_the_targets_at_once(fit):
    teacher, targets, errors = fit(steps=5, curriculum="pixels")
    assert errors == []
    assert torch.equal(teacher.lesson().images.flatten(0, 1), targets)
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_fixed_noise_stays_while_the_generator_learns(fit):
    before = weights(fit(steps=0, curriculum="fixed_noise")[0])
    teacher, _, errors = fit(steps=60, curriculum="fixed_noise")
    after = weights(teacher)
    assert torch.equal(after["noise"], before["noise"])
    assert not teacher.noise.requires_grad
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("generator.") for name in changed)
    assert errors[-1] < 0.8 * errors[0]


def test_a_generator_of_fresh_noise_comes_to_draw_images_of_the_classes(fit, digits):
    teacher, _, errors = fit(steps=100, curriculum="none")
    assert errors[-1] < 0.8 * errors[0]
    drawn = teacher.lesson(torch.Generator().manual_seed(9))
    images, labels = train_images(digits)
    means = torch.stack([images[labels == label].mean(0) for label in range(10)])
    nearest = torch.cdist(drawn.images.flatten(0, 1).flatten(1), means.flatten(1)).argmin(1)
    assert (nearest == drawn.labels.flatten()).float().mean() > 0.7
