import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.teacher import curriculum as curriculum_module
from gtn_nas.teacher.curriculum import (
    MAX_LEARNING_RATE,
    SMOOTHING,
    RealData,
    StepSizes,
    real_lesson,
)

from .samples import BATCH, CLASSES, SHAPE, STEPS, make_teacher, train_images

seeds = st.integers(0, 2**31 - 1)


@pytest.mark.parametrize("soft", [True, False], ids=["soft labels", "hard labels"])
def test_a_lesson_has_a_batch_and_step_sizes_for_every_step(soft):
    lesson = make_teacher(soft_labels=soft).lesson()
    assert lesson.steps == STEPS
    assert lesson.images.shape == (STEPS, BATCH, *SHAPE)
    assert lesson.labels.shape == ((STEPS, BATCH, CLASSES) if soft else (STEPS, BATCH))
    assert lesson.learning_rates.shape == lesson.momenta.shape == (STEPS,)


@pytest.mark.parametrize("soft", [True, False], ids=["soft labels", "hard labels"])
def test_every_part_of_a_teacher_is_learned(soft):
    teacher = make_teacher(soft_labels=soft)
    lesson = teacher.lesson()
    parts = [lesson.images, lesson.learning_rates, lesson.momenta]
    parts += [lesson.labels] if soft else []
    sum(part.square().sum() for part in parts).backward()
    assert all(p.grad is not None and p.grad.any() for p in teacher.parameters())


def test_a_lesson_is_the_same_whenever_it_is_given():
    teacher = make_teacher()
    lesson, again = teacher.lesson(), teacher.lesson(torch.Generator().manual_seed(3))
    assert torch.equal(again.images, lesson.images)
    assert torch.equal(again.labels, lesson.labels)


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(1, 5), batch=st.integers(2, 30), classes=st.integers(2, 12))
def test_classes_are_spread_evenly_over_each_batch_and_the_lesson(steps, batch, classes):
    sizes = {"inner_steps": steps, "batch_size": batch, "num_classes": classes}
    labels = make_teacher(soft_labels=False, **sizes).lesson().labels
    for part in (*labels, labels.flatten()):
        counts = torch.bincount(part, minlength=classes)
        assert len(counts) == classes
        assert counts.max() - counts.min() <= 1


def test_a_long_lesson_is_drawn_in_parts_that_are_learned_as_one(monkeypatch):
    monkeypatch.setattr(curriculum_module, "DRAWN_AT_ONCE", 2 * BATCH + 1)
    teacher = make_teacher(inner_steps=4)
    images = teacher.lesson().images
    noise, labels = teacher.noise, teacher.labels
    halves = [
        teacher.generator(noise[part].flatten(0, 1), labels[part].flatten()).view(2, BATCH, *SHAPE)
        for part in (slice(2), slice(2, 4))
    ]
    assert torch.equal(images, torch.cat(halves))
    learned = [p for n, p in teacher.named_parameters() if n.startswith(("noise", "generator"))]
    given = torch.randn(images.shape)
    found = torch.autograd.grad(images, learned, given)
    wanted = torch.autograd.grad(torch.cat(halves), learned, given)
    for gradient, expected in zip(found, wanted, strict=True):
        assert torch.allclose(gradient, expected, atol=1e-6)


# curricula


def rows(tensor):
    """Its rows of a lesson, sorted, so that only their order is forgotten."""
    return sorted(tensor.flatten(0, 1).flatten(1).tolist())


def kept(teacher):
    """The lesson in the order in which its parts are kept."""
    twin = make_teacher()
    twin.load_state_dict(teacher.state_dict())
    return twin.lesson()


@pytest.mark.parametrize("curriculum", ["all_shuffled", "shuffled_batch"])
def test_a_shuffled_lesson_is_the_same_images_in_another_order(curriculum):
    teacher = make_teacher(curriculum=curriculum)
    with torch.no_grad():
        teacher.label_logits += torch.randn(teacher.label_logits.shape)
    ordered = kept(teacher)
    pairs = torch.cat([ordered.images.flatten(2), ordered.labels], -1)
    seen = []
    for seed in range(4):
        lesson = teacher.lesson(torch.Generator().manual_seed(seed))
        shown = torch.cat([lesson.images.flatten(2), lesson.labels], -1)
        assert rows(shown) == rows(pairs)
        assert torch.equal(lesson.learning_rates, ordered.learning_rates)
        whole = [rows(batch[None]) for batch in shown]
        if curriculum == "shuffled_batch":
            assert all(
                torch.equal(b, p) for b, p in zip(shown, pairs[find(shown, pairs)], strict=True)
            )
        else:
            assert any(batch not in [rows(p[None]) for p in pairs] for batch in whole)
        seen.append(shown)
    assert not torch.equal(seen[0], seen[1])


def find(shown, pairs):
    """For every batch that is shown, which of the kept ones it is."""
    return [next(i for i, p in enumerate(pairs) if torch.equal(p, b)) for b in shown]


def test_without_a_curriculum_noise_is_fresh_and_labels_are_hard():
    teacher = make_teacher(curriculum="none")
    one, same, other = (teacher.lesson(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
    assert one.labels.shape == (STEPS, BATCH)
    assert {n.split(".")[0] for n, _ in teacher.named_parameters()} == {"generator", "step_sizes"}


def test_fixed_noise_is_not_learned_and_the_rest_is():
    teacher = make_teacher(curriculum="fixed_noise")
    still = [n for n, p in teacher.named_parameters() if not p.requires_grad]
    assert still == ["noise"]
    assert torch.equal(teacher.lesson().images, kept(teacher).images)


def test_pixels_are_learned_as_they_are():
    teacher = make_teacher(curriculum="pixels")
    assert torch.equal(teacher.lesson().images, teacher.pixels)
    assert {n.split(".")[0] for n, _ in teacher.named_parameters()} == {
        "pixels",
        "label_logits",
        "step_sizes",
    }


# labels


def test_soft_labels_start_as_the_class_with_a_little_doubt():
    labels = make_teacher().lesson().labels
    classes = make_teacher(soft_labels=False).lesson().labels
    assert torch.equal(labels.argmax(-1), classes)
    own, others = 1 - SMOOTHING + SMOOTHING / CLASSES, SMOOTHING / CLASSES
    torch.testing.assert_close(labels.max(-1).values, torch.full((STEPS, BATCH), own))
    torch.testing.assert_close(labels.min(-1).values, torch.full((STEPS, BATCH), others))
    torch.testing.assert_close(labels.sum(-1), torch.ones(STEPS, BATCH))


@settings(max_examples=20, deadline=None)
@given(seed=seeds, size=st.floats(0, 1000))
def test_soft_labels_stay_probabilities_whatever_is_learned(seed, size):
    teacher = make_teacher()
    with torch.no_grad():
        teacher.label_logits += size * torch.randn(
            teacher.label_logits.shape, generator=torch.Generator().manual_seed(seed)
        )
    labels = teacher.lesson().labels
    assert labels.min() >= 0
    torch.testing.assert_close(labels.sum(-1), torch.ones(STEPS, BATCH))


def test_the_learner_s_rate_starts_high_and_falls():
    rates, momenta = StepSizes(32)()
    assert rates[0].item() == pytest.approx(0.8)
    assert rates[-1].item() == pytest.approx(0.04)
    assert (rates.diff() <= 0).all()
    torch.testing.assert_close(momenta, torch.full((32,), 0.5))


@settings(deadline=None)
@given(value=st.floats(width=32, allow_nan=False))
def test_any_value_is_a_valid_step_size(value):
    sizes = StepSizes(2)
    with torch.no_grad():
        for parameter in sizes.parameters():
            parameter.fill_(value)
    rates, momenta = sizes()
    assert ((rates >= 0) & (rates <= MAX_LEARNING_RATE * (1 + 1e-6))).all()
    assert ((momenta >= 0) & (momenta <= 1)).all()


@settings(deadline=None)
@given(images=st.integers(1, 20), steps=st.integers(1, 8), batch=st.integers(1, 10), seed=seeds)
def test_real_batches_show_every_image_once_before_any_again(images, steps, batch, seed):
    numbers = torch.arange(images)
    rng = torch.Generator().manual_seed(seed)
    sizes = torch.rand(steps), torch.rand(steps)
    lesson = real_lesson(numbers.view(-1, 1, 1, 1), -numbers, batch, *sizes, rng)
    assert lesson.images.shape == (steps, batch, 1, 1, 1)
    shown = lesson.images.flatten()
    assert torch.equal(lesson.labels.flatten(), -shown)
    for a_pass in shown.split(images):
        assert len(a_pass.unique()) == len(a_pass)
    assert torch.equal(lesson.learning_rates, sizes[0])
    assert torch.equal(lesson.momenta, sizes[1])


def test_the_control_shows_real_images_and_learns_step_sizes_alone(digits):
    images, labels = train_images(digits)
    control = RealData(images, labels, STEPS, BATCH)
    learned = {name for name, _ in control.named_parameters()}
    assert learned == {"step_sizes.log_rate", "step_sizes.momentum_logit"}
    lesson, same, other = (control.lesson(torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(lesson.images, same.images)
    assert not torch.equal(lesson.images, other.images)
    first = (images == lesson.images[0, 0]).flatten(1).all(1)
    assert lesson.labels[0, 0] in labels[first]
    assert lesson.learning_rates.requires_grad
    assert lesson.momenta.requires_grad
    assert not lesson.images.requires_grad
