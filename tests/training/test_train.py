import io
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gtn_nas.data.base import Split
from gtn_nas.spaces import get_space
from gtn_nas.training.train import (
    FinalConfig,
    confusion,
    evaluate,
    learning_rate_factor,
    train_network,
)

SPACE = get_space("conv_chain")
SHORT = FinalConfig(epochs=5)


def conv_net(seed=0):
    options = {name: options[0] for name, options in SPACE.choices.items()}
    architecture = SPACE.architecture(options | {"norm": "batch_norm"})
    torch.manual_seed(seed)
    return SPACE.build(architecture, (1, 8, 8), 10, "final")


def linear_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def saved(state):
    """What a checkpoint holds: no live tensors, and nothing that only a pickle can hold."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def train(network, dataset, config, seed=0, resume_from=None):
    """Train and return the outcome, every report and every state."""
    reports, states = [], []

    def on_epoch(report, state):
        reports.append(report)
        states.append(saved(state))

    trained = train_network(
        network, dataset, config, seed, resume_from=resume_from, on_epoch=on_epoch
    )
    return trained, reports, states


def without_times(reports):
    return [replace(report, train_s=0.0) for report in reports]


def same_tensors(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def undisturbed(few_digits):
    return train(conv_net(), few_digits, SHORT)


def test_a_network_learns(few_digits):
    trained, reports, _ = train(conv_net(), few_digits, replace(SHORT, epochs=15))
    assert trained.validation_accuracy > 0.85
    assert trained.test_accuracy > 0.85
    assert reports[-1].train_loss < reports[0].train_loss / 2
    assert [report.epoch for report in reports] == list(range(1, 16))


def test_the_seed_decides_a_training(few_digits, undisturbed):
    again, reports, _ = train(conv_net(), few_digits, SHORT)
    assert without_times(reports) == without_times(undisturbed[1])
    assert same_tensors(again.weights, undisturbed[0].weights)
    _, others, _ = train(conv_net(), few_digits, SHORT, seed=1)
    assert without_times(others) != without_times(reports)


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_a_resumed_training_equals_an_undisturbed_one(few_digits, undisturbed, epoch):
    trained, reports, states = undisturbed
    # Weights of another seed: all that counts must come from the state.
    resumed, later, last = train(
        conv_net(seed=9), few_digits, SHORT, resume_from=saved(states[epoch - 1])
    )
    assert without_times(later) == without_times(reports[epoch:])
    for after, undisturbed_after in zip(last, states[epoch:], strict=True):
        assert same_tensors(after["network"], undisturbed_after["network"])
    assert same_tensors(resumed.weights, trained.weights)
    assert replace(resumed, weights={}, train_s=0.0) == replace(trained, weights={}, train_s=0.0)


def test_random_numbers_drawn_between_epochs_change_nothing(few_digits, undisturbed):
    drawn = []
    trained = train_network(
        conv_net(), few_digits, SHORT, 0, on_epoch=lambda *_: drawn.append(torch.rand(7))
    )
    assert len(drawn) == SHORT.epochs
    assert same_tensors(trained.weights, undisturbed[0].weights)


def test_the_best_epoch_is_the_one_that_validation_prefers(few_digits):
    """Here the images to choose by are mislabelled: what is learned looks ever worse on them."""
    wrong = Split(few_digits.validation.images, (few_digits.validation.labels + 1) % 10)
    network = conv_net()
    misled = replace(few_digits, validation=wrong)
    trained, reports, states = train(network, misled, SHORT)
    best = max(reports, key=lambda r: (r.validation_accuracy, -r.validation_loss))
    assert trained.best_epoch == best.epoch < SHORT.epochs
    assert trained.validation_accuracy == best.validation_accuracy > reports[-1].validation_accuracy
    assert trained.validation_loss == best.validation_loss
    assert same_tensors(trained.weights, states[best.epoch - 1]["network"])
    assert same_tensors(network.state_dict(), trained.weights)
    test = evaluate(network, few_digits, few_digits.test)
    assert (trained.test_accuracy, trained.test_loss) == test
    counts = {(label, guess): count for label, guess, count in trained.test_confusion}
    assert sum(counts.values()) == len(few_digits.test)
    right = sum(count for (label, guess), count in counts.items() if label == guess)
    assert right / len(few_digits.test) == pytest.approx(trained.test_accuracy)


def test_a_confusion_counts_pairs_that_are_there():
    logits = torch.eye(3)[torch.tensor([0, 2, 2, 1])]
    assert confusion(logits, torch.tensor([0, 1, 1, 1])) == ((0, 0, 1), (1, 1, 1), (1, 2, 2))


def test_among_equal_accuracies_the_lower_loss_is_better(few_digits):
    one = Split(few_digits.validation.images[:1], few_digits.validation.labels[:1])
    trained, reports, _ = train(
        conv_net(), replace(few_digits, validation=one), replace(SHORT, epochs=10)
    )
    right = [report for report in reports if report.validation_accuracy == 1.0]
    assert len(right) > 1
    assert trained.validation_loss == min(report.validation_loss for report in right)


def test_only_whole_batches_are_trained_on_and_few_images_make_one(few_digits):
    sizes = []
    network = linear_net()
    network.register_forward_pre_hook(lambda m, x: sizes.append(len(x[0])) if m.training else None)
    config = FinalConfig(epochs=2, batch_size=150, learning_rate=0.01)
    train_network(network, few_digits, config, 0)
    assert sizes == [150, 150] * 2
    sizes.clear()
    train_network(network, few_digits, replace(config, batch_size=1000), 0)
    assert sizes == [320] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"batch_size": 32},
        {"learning_rate": 0.05},
        {"warmup": 0.5},
        {"momentum": 0.0},
        {"weight_decay": 0.0},
        {"label_smoothing": 0.0},
        {"augment": False},
    ],
    ids=str,
)
def test_every_setting_matters(few_digits, change):
    config = replace(SHORT, epochs=2)
    trained, changed = (
        train(linear_net(), few_digits, c)[0].weights for c in (config, replace(config, **change))
    )
    assert not same_tensors(trained, changed)


def test_the_learning_rate_follows_its_schedule(few_digits, undisturbed):
    per_epoch = len(few_digits.train) // SHORT.batch_size
    for epoch, state in enumerate(undisturbed[2], start=1):
        factor = learning_rate_factor(epoch * per_epoch - 1, SHORT.epochs * per_epoch, SHORT.warmup)
        for group in state["optimizer"]["param_groups"]:
            assert group["lr"] == SHORT.learning_rate * factor


def test_matrices_are_decayed_and_gains_are_not(few_digits):
    class Idle(nn.Module):
        """Has a gain and a matrix that its logits do not depend on."""

        def __init__(self):
            super().__init__()
            self.linear = linear_net()
            self.gain, self.matrix = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, 3))

        def forward(self, images):
            return self.linear(images) + 0 * (self.gain.sum() + self.matrix.sum())

    weights = train(Idle(), few_digits, SHORT)[0].weights
    assert torch.equal(weights["gain"], torch.ones(3))
    assert (weights["matrix"] < 1).all()


def test_a_training_that_diverges_says_when(few_digits):
    config = replace(SHORT, learning_rate=1e38)
    with pytest.raises(FloatingPointError, match=r"training loss became (nan|inf) in epoch 1"):
        train_network(linear_net(), few_digits, config, 0)


def test_a_network_that_fails_only_in_evaluation_is_not_taken_for_good(few_digits):
    class BrokenInEvaluation(nn.Sequential):
        def forward(self, images):
            logits = super().forward(images)
            return logits if self.training else logits / 0

    with pytest.raises(FloatingPointError, match=r"validation loss became nan in epoch 1"):
        train_network(BrokenInEvaluation(linear_net()), few_digits, SHORT, 0)


def test_a_training_of_no_epochs_is_refused(few_digits):
    with pytest.raises(ValueError, match="one epoch or more, not 0"):
        train_network(linear_net(), few_digits, FinalConfig(epochs=0), 0)


def test_an_evaluation_counts_what_is_right_and_changes_nothing(few_digits):
    network = conv_net()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    labels = network.eval()(few_digits.normalise(few_digits.test.images)).argmax(1)
    labels[:50] = (labels[:50] + 1) % 10
    accuracy, loss = evaluate(network, few_digits, Split(few_digits.test.images, labels))
    assert accuracy == pytest.approx(150 / 200)
    assert loss > 0
    assert same_tensors(network.state_dict(), before)


@settings(deadline=None)
@given(steps=st.integers(1, 2000), warmup=st.floats(0, 1))
def test_the_learning_rate_rises_to_its_peak_and_then_falls(steps, warmup):
    factors = [learning_rate_factor(step, steps, warmup) for step in range(steps)]
    peak = factors.index(max(factors))
    assert factors[peak] == 1.0
    assert peak == max(round(warmup * steps), 1) - 1
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert all(0 < factor <= 1 for factor in factors)


@settings(deadline=None)
@given(steps=st.integers(20, 2000))
def test_the_learning_rate_ends_near_zero(steps):
    assert learning_rate_factor(steps - 1, steps, 0.05) < 0.01
