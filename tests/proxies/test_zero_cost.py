import math
import random
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gtn_nas.errors import UnknownNameError
from gtn_nas.proxies.zero_cost import FUNCTIONS, zero_cost_scores
from gtn_nas.spaces import get_space
from gtn_nas.spaces.conv_chain_layers import MeanOnlyBatchNorm2d, WeightNormConv2d

from .candidates import CLASSES, SHAPE

DIGITS = 16
"""Images in a batch of digits."""
ONE_HOT = torch.eye(4).view(4, 1, 2, 2)
"""Four images, each with a bright pixel of its own."""
FOUR = torch.arange(4)


class Net(nn.Module):
    """A network from a function of images and a parameter."""

    def __init__(self, function: Callable[..., Tensor], *parameter: Tensor) -> None:
        super().__init__()
        self.function = function
        self.parameters_ = nn.ParameterList(parameter)

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images.flatten(1), *self.parameters_)


def score(name, build, images=ONE_HOT, labels=FOUR) -> float:
    found = zero_cost_scores(build, images, labels, [name])
    assert found.failures == {}
    return found.columns[name]


def reason(name, build, images=ONE_HOT, labels=FOUR) -> str:
    found = zero_cost_scores(build, images, labels, [name])
    assert found.columns == {}
    return found.failures[name]


def seeded(make: Callable[[], nn.Module], seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def convolutional(*layers: nn.Module) -> nn.Module:
    """A convolution, the given layers on its eight channels, and a linear classifier."""
    return nn.Sequential(nn.Conv2d(1, 8, 3), *layers, nn.Flatten(), nn.Linear(288, CLASSES))


def filled(layer: nn.Module, value: float) -> nn.Module:
    nn.init.constant_(layer.weight, value)
    return layer


def pixels(*values: float) -> Tensor:
    """Images of one pixel."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


RELU = partial(seeded, lambda: convolutional(nn.ReLU()))
LINEAR = partial(seeded, convolutional)


@pytest.fixture(scope="module")
def batch(digits):
    """Real images and their classes."""
    split = digits.train
    return digits.normalise(split.images[:DIGITS]), split.labels[:DIGITS]


# Every kind of candidate


@pytest.mark.parametrize(
    ("space_name", "choices"),
    [("nas_bench_201", {})]
    + [("conv_chain", {"norm": norm}) for norm in get_space("conv_chain").choices["norm"]],
)
def test_every_proxy_scores_the_candidates_of_every_space(batch, space_name, choices):
    space, rng = get_space(space_name), random.Random(0)
    for seed in range(3):
        drawn = {name: rng.choice(options) for name, options in space.choices.items()}
        candidate = space.architecture(drawn | choices)
        build = partial(seeded, partial(space.build, candidate, SHAPE, CLASSES), seed)
        found = zero_cost_scores(build, *batch)
        assert found.failures == {}
        assert list(found.columns) == list(FUNCTIONS)
        assert all(map(math.isfinite, found.columns.values()))


def test_a_network_without_rectifiers_has_all_scores_but_nwot(batch):
    found = zero_cost_scores(partial(seeded, lambda: convolutional(nn.GELU())), *batch)
    assert found.failures == {"nwot": "the network has no rectifier"}
    assert found.columns.keys() == FUNCTIONS.keys() - {"nwot"}


def test_a_score_does_not_depend_on_which_others_are_asked_for(batch):
    together = zero_cost_scores(RELU, *batch).columns
    alone = {name: score(name, RELU, *batch) for name in reversed(FUNCTIONS)}
    assert alone == together


def test_scores_depend_on_weights_and_images_alone(batch):
    def build():
        with torch.random.fork_rng([]):
            return seeded(lambda: convolutional(nn.ReLU(), nn.Dropout()))

    before = zero_cost_scores(build, *batch).columns
    torch.manual_seed(99)
    assert zero_cost_scores(build, *batch).columns == before


def test_a_network_that_writes_on_its_images_spoils_nothing(batch):
    images, labels = batch
    before = images.clone()
    build = partial(seeded, lambda: nn.Sequential(nn.LeakyReLU(0.1, inplace=True), convolutional()))
    assert zero_cost_scores(build, images, labels).failures == {}
    assert torch.equal(images, before)


def test_a_layer_that_is_never_used_changes_nothing(batch):
    class Spare(nn.Sequential):
        def __init__(self):
            super().__init__(*convolutional(nn.ReLU()))
            self.spare = nn.Linear(2, 2)

        def forward(self, images):
            return nn.Sequential(*list(self)[:-1])(images)

    found = zero_cost_scores(partial(seeded, Spare), *batch)
    assert found.columns == zero_cost_scores(RELU, *batch).columns


# nwot


@pytest.mark.parametrize(
    "rectify",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        nn.ReLU6(),
        nn.LeakyReLU(0.1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.PReLU(),
        torch.relu,
        torch.relu_,
        Tensor.relu,
        Tensor.relu_,
        lambda x: F.relu(input=x),
        lambda x: F.relu6(x),
        lambda x: F.leaky_relu(x, 0.1, inplace=True),
    ],
)
def test_nwot_sees_rectifiers_of_every_form(rectify):
    """Two images agree on two pixels of four: the determinant of 2 I + 2 is 8 (2 + 8)."""
    assert score("nwot", lambda: Net(rectify)) == pytest.approx(math.log(80))


def test_nwot_adds_up_over_rectifiers():
    """On the second, all images agree on all pixels: the determinant of 2 I + 6 is 8 (2 + 24)."""
    network = Net(lambda x: F.relu(x) + F.relu(-x))
    assert score("nwot", lambda: network) == pytest.approx(math.log(208))


def test_nwot_is_higher_for_a_network_that_tells_images_apart(batch):
    def biased():
        network = RELU()
        nn.init.constant_(network[0].bias, 0.5)  # most rectifiers are on, whatever the image
        return network

    assert score("nwot", RELU, *batch) > score("nwot", biased, *batch) + 1


def test_nwot_is_lower_for_images_that_are_alike(batch):
    images, labels = batch
    alike = images[:1] + 0.5 * (images - images[:1])
    assert score("nwot", RELU, images, labels) > score("nwot", RELU, alike, labels) + 1


def test_images_that_no_rectifier_tells_apart_have_no_nwot(batch):
    images, labels = batch
    twins = torch.cat([images[:1], images[:-1]])
    assert reason("nwot", RELU, twins, labels) == "the rectifiers do not tell all images apart"


def test_a_rectifier_of_something_other_than_images_has_no_nwot():
    network = Net(lambda x: F.relu(x.view(8, 2)).view(4, 4))
    assert reason("nwot", lambda: network) == (
        "a rectifier's first dimension is not that of the images"
    )


# jacob_cov


def test_jacob_cov_of_a_case_worked_by_hand():
    """Gradients are the images: three orthogonal, one between; eigenvalues 1, 1, 1.5, 0.5."""
    a, b, c, d = torch.tensor(
        [
            [1.0, -1, 1, -1, 1, -1, 1, -1],
            [1, 1, -1, -1, 1, 1, -1, -1],
            [1, -1, -1, 1, 1, -1, -1, 1],
            [1, 1, 1, 1, -1, -1, -1, -1],
        ]
    )
    images = torch.stack([a, b, c, (c + math.sqrt(3) * d) / 2]).view(4, 1, 2, 4)
    expected = -(1 + 1 + math.log(1.5) + 1 / 1.5 + math.log(0.5) + 1 / 0.5)
    build = partial(Net, lambda x: x**2 / 2)
    assert score("jacob_cov", build, images) == pytest.approx(expected, abs=1e-4)


def test_jacob_cov_is_highest_for_independent_gradients_and_lowest_for_equal_ones(batch):
    images, _ = batch
    linear, rectified = score("jacob_cov", LINEAR, *batch), score("jacob_cov", RELU, *batch)
    assert linear < rectified < -len(images)
    one, k = math.log(len(images)) + 1 / len(images), 1e-5
    lowest = -(one + (len(images) - 1) * (math.log(k) + 1 / k))
    assert linear == pytest.approx(lowest, rel=1e-4)


def test_logits_that_ignore_an_image_have_no_jacob_cov():
    network = Net(lambda x: x.clamp(max=0.5) ** 2)
    ignored = torch.cat([ONE_HOT[:3], torch.ones(1, 1, 2, 2)])
    assert reason("jacob_cov", lambda: network, ignored) == (
        "the gradient with respect to an image is constant or not finite"
    )


# synflow


def chain(*between: nn.Module) -> nn.Module:
    """Two 1 x 1 convolutions of weights -2 and 3, from one channel to two and on to two."""
    first, second = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False)
    return nn.Sequential(
        filled(first, -2), *between, nn.ReLU(), filled(second, 3), nn.Flatten(), nn.Flatten()
    )


@pytest.mark.parametrize(
    "norm",
    [
        nn.Identity(),
        nn.BatchNorm2d(2),
        nn.BatchNorm2d(2, track_running_stats=False),
        nn.GroupNorm(1, 2),
        nn.InstanceNorm2d(2, affine=True),
        nn.LayerNorm(1),
        nn.RMSNorm(1),
    ],
)
def test_synflow_of_a_case_worked_by_hand(norm):
    """All of 2 x 2 paths bring 2 x 3 to the output, and both layers' sums are that total, 24."""
    assert score("synflow", lambda: chain(norm), pixels(1, 2, 3, 4)) == pytest.approx(math.log(48))


def test_a_weight_normed_network_flows_as_its_plain_twin():
    def build():
        convs = [WeightNormConv2d(1, 2, 1), WeightNormConv2d(2, 2, 1)]
        for conv, weight in zip(convs, (-2.0, 3.0), strict=True):
            filled(conv, weight)
            conv.gain.data = conv.weight.detach().flatten(1).norm(dim=1)
        return nn.Sequential(convs[0], MeanOnlyBatchNorm2d(2), nn.ReLU(), convs[1], nn.Flatten())

    assert score("synflow", build, pixels(1, 2, 3, 4)) == pytest.approx(math.log(48))


def test_synflow_does_not_look_at_the_images(batch):
    images, labels = batch
    other = score("synflow", RELU, torch.randn_like(images), labels)
    assert other == score("synflow", RELU, images, labels)


def test_synflow_has_the_range_of_float64():
    def build():
        return nn.Sequential(
            nn.Flatten(), *(filled(nn.Linear(1, 1, bias=False), 1e30) for _ in range(5))
        )

    tiny = pixels(1e-37, 2e-37, 3e-37, 4e-37)
    expected = math.log(5) + 150 * math.log(10)
    found = zero_cost_scores(build, tiny, FOUR * 0, ["synflow", "snip"])
    assert found.columns == {"synflow": pytest.approx(expected)}
    assert found.failures == {"snip": "the logits are not finite"}


def test_a_network_that_nothing_flows_through_has_no_synflow():
    network = filled(nn.Linear(4, 4, bias=False), 0)
    assert reason("synflow", lambda: nn.Sequential(nn.Flatten(), network)) == "not finite"


def test_a_network_of_float32_alone_has_no_synflow():
    network = Net(lambda x, weight: x @ (weight * torch.ones(())).float(), torch.eye(4))
    assert reason("synflow", lambda: network).startswith(
        "the network does not run on ones in float64: RuntimeError: "
    )


# Gradients: snip, grad_norm, zico


def branches(count: int) -> nn.Module:
    """As many equal linear layers side by side, from one pixel to two equal logits, and a bias.

    The gradient of the loss with respect to the two weights of a branch is the mean, over the
    images, of pixel x (1/2 - label), and minus that.
    """

    def function(x: Tensor, bias: Tensor, *weights: Tensor) -> Tensor:
        return sum((x @ weight for weight in weights), bias)

    return Net(function, torch.zeros(2), *(torch.full((1, 2), 2.0) for _ in range(count)))


@pytest.mark.parametrize("layers", [1, 2])
def test_snip_and_grad_norm_of_a_case_worked_by_hand(layers):
    """(-1 - 2 + 3 + 4) / 2 / 4 = 1/2 for each of two weights of size 2."""
    found = zero_cost_scores(
        partial(branches, layers),
        pixels(1, 2, 3, 4),
        torch.tensor([1, 1, 0, 0]),
        ["snip", "grad_norm"],
    )
    assert found.columns == {
        "snip": pytest.approx(2.0 * layers),
        "grad_norm": pytest.approx(math.sqrt(0.5) * layers),
    }


@pytest.mark.parametrize("layers", [1, 2])
def test_zico_of_a_case_worked_by_hand(layers):
    """Gradients of 1/4 and 1: their mean is 5/8, their deviation 3/8; two weights to a layer."""
    images, labels = pixels(1, 2, 3, 7), torch.tensor([0, 1, 0, 1])
    expected = layers * math.log(2 * 5 / 3)
    assert score("zico", partial(branches, layers), images, labels) == pytest.approx(expected)


def test_zico_takes_sizes_of_gradients_and_not_their_signs():
    images = pixels(1, 2, 3, 7)
    same, opposite = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 1, 0])
    build = partial(branches, 1)
    assert score("zico", build, images, opposite) == pytest.approx(
        score("zico", build, images, same)
    )


def test_a_layer_whose_gradients_never_vary_has_no_zico():
    images, labels = pixels(1, 2, 1, 2), torch.tensor([0, 1, 0, 1])
    assert reason("zico", partial(branches, 1), images, labels) == (
        "the gradient of a layer is the same in both batches"
    )


def test_gradients_that_are_not_finite_are_no_score():
    """The slope of the root at zero is infinite."""
    network = Net(lambda x, weight: (x @ weight).sqrt(), torch.eye(4))
    found = zero_cost_scores(lambda: network, ONE_HOT, FOUR, ["snip", "grad_norm", "zico"])
    assert found.columns == {}
    assert set(found.failures.values()) == {"not finite"}


# What is no score


def test_logits_that_are_not_finite_are_no_score(batch):
    images, labels = batch
    broken = images.clone()
    broken[0] = math.nan
    found = zero_cost_scores(RELU, broken, labels)
    assert found.columns.keys() == {"synflow"}
    assert set(found.failures.values()) == {"the logits are not finite"}


def test_a_network_without_weights_is_no_score():
    found = zero_cost_scores(lambda: nn.Sequential(nn.Flatten(), nn.ReLU()), ONE_HOT, FOUR)
    reasons = {found.failures[name] for name in ("synflow", "snip", "grad_norm", "zico")}
    assert reasons == {"the network has nothing to train"}
    assert "nwot" in found.columns


def test_what_a_candidate_raises_is_not_hidden():
    def fail(x: Tensor) -> Tensor:
        raise ZeroDivisionError("no such layer")

    with pytest.raises(ZeroDivisionError, match="no such layer"):
        zero_cost_scores(lambda: Net(fail), ONE_HOT, FOUR)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_running_out_of_memory_is_no_matter_of_a_proxy(name):
    network = Net(lambda x, weight: x @ weight + torch.zeros(2**50)[:4], torch.eye(4))
    with pytest.raises(RuntimeError, match="allocate memory"):
        zero_cost_scores(lambda: network, ONE_HOT, FOUR, [name])


def test_an_unknown_name_is_an_error():
    with pytest.raises(UnknownNameError, match="did you mean synflow"):
        zero_cost_scores(RELU, ONE_HOT, FOUR, ["sinflow"])


@pytest.mark.parametrize(("images", "labels"), [(3, 3), (4, 3)])
def test_too_few_images_or_labels_are_an_error(images, labels):
    message = f"got {images} images and {labels} labels"
    with pytest.raises(ValueError, match=message):
        zero_cost_scores(RELU, ONE_HOT[:images], FOUR[:labels])
