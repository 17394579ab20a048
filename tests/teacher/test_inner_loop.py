import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from gtn_nas.spaces.conv_chain_layers import MeanOnlyBatchNorm2d
from gtn_nas.teacher.curriculum import real_lesson
from gtn_nas.teacher.inner_loop import score, teach, unroll

from .samples import CLASSES, SPACE, are_equal, make_learner, train_images, weights

T, B = 5, 16
CONSTANT = (torch.full((T,), 0.2), torch.full((T,), 0.6))
VARYING = (torch.linspace(0.4, 0.05, T), torch.linspace(0.1, 0.9, T))

every_norm = pytest.mark.parametrize("norm", SPACE.choices["norm"])


@pytest.fixture(scope="module")
def lesson(digits):
    """Real digits in 64 bits, so that what must be equal is nearly so."""
    images, labels = train_images(digits)
    return real_lesson(images.double(), labels, B, *VARYING, torch.Generator().manual_seed(0))


def learned(learner, lesson, steps=None):
    """The parameters after so many steps."""
    *_, state = unroll(learner, lesson.first(steps or lesson.steps))
    return state.parameters


@every_norm
@pytest.mark.parametrize("sizes", [CONSTANT, VARYING], ids=["constant", "varying"])
def test_every_step_is_that_of_torch_s_sgd(lesson, norm, sizes):
    lesson = replace(lesson, learning_rates=sizes[0], momenta=sizes[1])
    learner = make_learner(norm=norm).double().train()
    twin = copy.deepcopy(learner)
    sgd = torch.optim.SGD(twin.parameters(), lr=0.1)
    for step, state in enumerate(unroll(learner, lesson)):
        group = sgd.param_groups[0]
        group["lr"], group["momentum"] = (size[step].item() for size in sizes)
        sgd.zero_grad()
        loss = F.cross_entropy(twin(lesson.images[step]), lesson.labels[step])
        loss.backward()
        sgd.step()
        torch.testing.assert_close(state.loss, loss.detach())
        torch.testing.assert_close(state.parameters, weights(twin), rtol=1e-6, atol=1e-8)
    assert step == T - 1


def test_certain_probabilities_teach_as_classes_do(lesson):
    learner = make_learner().double()
    certain = replace(lesson, labels=F.one_hot(lesson.labels, CLASSES).double())
    torch.testing.assert_close(learned(learner, certain), learned(learner, lesson))
    unsure = replace(certain, labels=certain.labels * 0.5 + 0.5 / CLASSES)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(learned(learner, unsure), learned(learner, lesson))


def test_unrolling_leaves_the_learner_as_it_was_and_teaching_does_not(lesson):
    learner = make_learner().double()
    before, after = weights(learner), learned(learner, lesson)
    on_the_way = [state.loss for state in unroll(learner, lesson)]
    assert are_equal(weights(learner), before)
    losses = teach(learner, lesson)
    torch.testing.assert_close(losses, torch.stack(on_the_way))
    assert are_equal(weights(learner), after)
    assert not are_equal(after, before)


@pytest.mark.parametrize("steps", [1, 3, T])
def test_the_first_steps_of_a_lesson_are_a_lesson(lesson, steps):
    learner = make_learner().double()
    first = lesson.first(steps)
    assert first.steps == steps
    on_the_way = [state.parameters for state in unroll(learner, lesson)][steps - 1]
    teach(learner, first)
    assert are_equal(weights(learner), on_the_way)


def test_a_lesson_has_no_more_steps_than_batches(lesson):
    with pytest.raises(ValueError, match=f"a budget of {T + 1} steps, but the lesson has {T}"):
        lesson.first(T + 1)


@every_norm
def test_a_learner_that_diverges_is_an_error(lesson, norm):
    too_fast = replace(lesson, learning_rates=torch.full((T,), 1e308, dtype=torch.float64))
    with pytest.raises(FloatingPointError, match="parameters became non-finite"):
        teach(make_learner(norm=norm).double(), too_fast)


# batch statistics and scores


def norms_with_inputs(learner, images):
    """Every normalisation with what reaches it when the images are one batch of training."""
    inputs = {}
    hooks = [
        norm.register_forward_pre_hook(lambda norm, args: inputs.update({norm: args[0].detach()}))
        for norm in learner.modules()
        if isinstance(norm, _BatchNorm)
    ]
    copy_of_buffers = copy.deepcopy(dict(learner.named_buffers()))
    learner.train()(images)
    for name, buffer in learner.named_buffers():
        buffer.copy_(copy_of_buffers[name])
    for hook in hooks:
        hook.remove()
    return inputs


@every_norm
def test_running_statistics_become_those_of_the_given_images(lesson, norm):
    learner = make_learner(norm=norm).double()
    teach(learner, lesson)  # which leaves other statistics
    images = lesson.images.flatten(0, 1)[:40]
    update_bn([lesson.images[0] * 3], learner)  # as does an earlier estimate
    update_bn([images], learner)
    inputs = norms_with_inputs(learner, images)
    assert inputs
    assert norm != "weight_norm" or any(isinstance(n, MeanOnlyBatchNorm2d) for n in inputs)
    for layer, values in inputs.items():
        axes = [0, *range(2, values.dim())]
        torch.testing.assert_close(layer.running_mean, values.mean(axes))
        if not isinstance(layer, MeanOnlyBatchNorm2d):
            torch.testing.assert_close(layer.running_var, values.var(axes))


def test_a_score_is_accuracy_and_loss_of_all_images():
    torch.manual_seed(0)
    images, labels = torch.randn(5000, 1, 8, 8), torch.randint(CLASSES, (5000,))
    learner = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    accuracy, loss = score(learner, images, labels)
    logits = learner(images)
    right = sum(guess == label for guess, label in zip(logits.argmax(1), labels, strict=True))
    assert accuracy == pytest.approx(int(right) / 5000)
    of_the_label = logits.softmax(1)[torch.arange(5000), labels]
    assert loss == pytest.approx(-of_the_label.log().mean().item(), rel=1e-5)


@every_norm
def test_a_score_uses_the_running_statistics_and_leaves_them(lesson, norm):
    learner = make_learner(norm=norm).double()
    images, labels = lesson.images.flatten(0, 1), lesson.labels.flatten()
    update_bn([images], learner)
    before = copy.deepcopy(learner.state_dict())
    _, loss = score(learner, images, labels)
    assert are_equal(learner.state_dict(), before)
    each = [score(learner, images[i : i + 1], labels[i : i + 1])[1] for i in range(len(labels))]
    assert loss == pytest.approx(math.fsum(each) / len(each))
