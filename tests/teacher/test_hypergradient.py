import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from gtn_nas.data.base import ImageDataset
from gtn_nas.teacher import hypergradient
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.teacher.hypergradient import RealBatch, lesson_gradient
from gtn_nas.teacher.inner_loop import LearnerState, Lesson, sgd_step, unroll

from .samples import CLASSES, SPACE, are_equal, make_learner, train_images, weights

T, B = 5, 16
WINDOWS = [range(0, 5), range(0, 2), range(1, 4), range(3, 5), range(4, 5)]

every_window = pytest.mark.parametrize("window", WINDOWS, ids=str)


@pytest.fixture(scope="module")
def parts(digits: ImageDataset):
    """A lesson in 64 bits whose every tensor is learned, and a real batch."""
    images, labels = train_images(digits)
    sizes = torch.linspace(0.4, 0.05, T).double(), torch.linspace(0.1, 0.9, T).double()
    rng = torch.Generator().manual_seed(0)
    lesson = real_lesson(images.double(), labels, B, *sizes, rng)
    soft = F.one_hot(lesson.labels, CLASSES).double() * 0.8 + 0.02
    learned = Lesson(lesson.images, soft, *sizes)
    for tensor in learned.tensors:
        tensor.requires_grad_()
    return learned, RealBatch(images[:40].double(), labels[:40])


def through_one_graph(learner, lesson, window, real, loss_every):
    """The same without checkpoints: one graph through all steps of the window."""
    state, losses = LearnerState.start(learner), []
    for step in range(window.stop):
        state = sgd_step(learner, state, lesson, step, differentiable=step in window)
        if step not in window:
            state = state.detached()
        left = window.stop - 1 - step
        if step in window and left % loss_every == 0:
            logits = functional_call(learner, state.parameters, (real.images,))
            losses.append(F.cross_entropy(logits, real.labels))
    *between, last = losses
    loss = last + torch.stack(between).mean() if between else last
    return torch.autograd.grad(loss, lesson.tensors), loss.item()


@pytest.mark.parametrize("norm", SPACE.choices["norm"])
def test_many_real_images_are_judged_in_parts(parts, norm, monkeypatch):
    lesson, real = parts
    learner = make_learner(norm=norm).double().train()
    chosen = [slice(0, 14), slice(14, 27), slice(27, 40)]

    def found(images, labels):
        batch = RealBatch(images, labels)
        return lesson_gradient(learner, lesson, range(1, 5), batch, loss_every=2, seed=0)

    alone = [found(real.images[c], real.labels[c]) for c in chosen]
    shares = [14 / 40, 13 / 40, 13 / 40]
    monkeypatch.setattr(hypergradient, "JUDGED_AT_ONCE", 16)
    together = found(real.images, real.labels)
    for name in ("loss", "accuracy"):
        expected = sum(w * getattr(a, name) for w, a in zip(shares, alone, strict=True))
        assert getattr(together, name) == pytest.approx(expected)
    for i, gradient in enumerate(together.gradient.tensors):
        expected = sum(w * a.gradient.tensors[i] for w, a in zip(shares, alone, strict=True))
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("norm", SPACE.choices["norm"])
@pytest.mark.parametrize("loss_every", [1, 2, 9])
@every_window
def test_a_gradient_is_that_through_one_graph(parts, norm, window, loss_every):
    learner = make_learner(norm=norm).double().train()
    expected, loss = through_one_graph(learner, parts[0], window, parts[1], loss_every)
    found = lesson_gradient(learner, parts[0], window, parts[1], loss_every=loss_every, seed=0)
    assert found.loss == pytest.approx(loss, rel=1e-9)
    for ours, theirs in zip(found.gradient.tensors, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def tiny_parts():
    """Three batches of two images of one pixel in four channels, and three classes."""
    torch.manual_seed(0)
    images = torch.randn(3, 2, 4, 1, 1, dtype=torch.float64)
    labels = torch.randn(3, 2, 3, dtype=torch.float64).softmax(-1)
    rates, momenta = torch.tensor([[0.5, 0.4, 0.3], [0.2, 0.5, 0.8]], dtype=torch.float64)
    lesson = Lesson(images, labels, rates, momenta)
    for tensor in lesson.tensors:
        tensor.requires_grad_()
    real = RealBatch(torch.randn(6, 4, 1, 1, dtype=torch.float64), torch.arange(6) % 3)
    torch.manual_seed(1)
    layers = nn.Flatten(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)
    return nn.Sequential(*layers).double(), lesson, real


def test_a_gradient_is_that_of_finite_differences():
    learner, lesson, real = tiny_parts()
    gradient = lesson_gradient(learner, lesson, range(3), real, loss_every=9, seed=0).gradient
    moved = lesson.detached()

    def loss():
        *_, state = unroll(learner, moved)
        logits = functional_call(learner, state.parameters, (real.images,))
        return F.cross_entropy(logits, real.labels).item()

    for tensor, found in zip(moved.tensors, gradient.tensors, strict=True):
        flat = tensor.view(-1)
        for i in range(0, len(flat), 3):
            value = flat[i].item()
            flat[i] = value + 1e-6
            above = loss()
            flat[i] = value - 1e-6
            below = loss()
            flat[i] = value
            expected = (above - below) / 2e-6
            assert found.flatten()[i].item() == pytest.approx(expected, rel=1e-4, abs=1e-8)


@every_window
def test_only_the_steps_of_the_window_have_gradients(parts, window):
    learner = make_learner().double().train()
    found = lesson_gradient(learner, *parts[:1], window, parts[1], loss_every=2, seed=0).gradient
    for tensor in found.tensors[:3]:
        assert [s for s in range(T) if tensor[s].any()] == list(window)


def test_only_what_is_learned_has_gradients(parts):
    learner = make_learner().double().train()
    images, labels, rates, momenta = parts[0].detached().tensors
    lesson = Lesson(images, labels.argmax(-1), rates.requires_grad_(), momenta.clone())
    found = lesson_gradient(learner, lesson, range(T), parts[1], loss_every=9, seed=0).gradient
    assert [bool(tensor.any()) for tensor in found.tensors] == [False, False, True, False]


def test_the_learner_stays_as_it_was(parts):
    learner = make_learner().double().train()
    before = weights(learner)
    lesson_gradient(learner, parts[0], range(T), parts[1], loss_every=9, seed=0)
    assert are_equal(weights(learner), before)


def test_a_step_that_is_taken_again_drops_the_same_units(parts):
    learner = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, CLASSES)).double().train()
    one, same, other = (
        lesson_gradient(learner, parts[0], range(T), parts[1], loss_every=9, seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one.gradient.images, same.gradient.images)
    assert not torch.equal(one.gradient.images, other.gradient.images)
    # A dropped pixel of a batch has no gradient from its last step: the mask is that of the seed.
    last = lesson_gradient(learner, parts[0], range(T - 1, T), parts[1], loss_every=9, seed=1)
    dropped = last.gradient.images[-1] == 0
    assert 0.3 < dropped.double().mean() < 0.7
    assert torch.equal(one.gradient.images[-1] == 0, dropped)
