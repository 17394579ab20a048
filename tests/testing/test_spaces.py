"""Whether the checks of search spaces catch what they are for; those that ship pass elsewhere."""

import itertools
import random

import pytest
import torch
from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.testing import spaces as rules
from gtn_nas.testing.spaces import CHECKS_OF_CHOICES, CHECKS_OF_NETWORKS, check_space

SHAPE = (3, 8, 8)
COUNTER = itertools.count()


class Sound(SearchSpace):
    """One hidden layer; without one its width means nothing."""

    name = "sound"
    choices = {"width": (1, 2, 3), "hidden": (True, False)}  # noqa: RUF012  # never changed

    def canonical(self, architecture):
        if architecture.choices["hidden"]:
            return architecture
        return Architecture(self.name, {"hidden": False})

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        features = input_shape[0] * input_shape[1] * input_shape[2]
        if not architecture.choices["hidden"]:
            return nn.Sequential(nn.Flatten(), nn.Linear(features, num_classes))
        width = 4 * int(architecture.choices["width"])
        layers = nn.Linear(features, width), nn.Tanh(), nn.Linear(width, num_classes)
        return nn.Sequential(nn.Flatten(), *layers)


class OfTuples(Sound):
    """JSON has no tuples."""

    choices = {"width": ((1, 2), (3, 4)), "hidden": (True, False)}  # noqa: RUF012


class NeverDone(Sound):
    """Its canonical form is another one every time."""

    def canonical(self, architecture):
        width = architecture.choices.get("width", 3)
        return Architecture(self.name, {**architecture.choices, "width": width % 3 + 1})


class OfAnotherName(Sound):
    def canonical(self, architecture):
        return Architecture("another", architecture.choices)


class OutOfTheSpace(Sound):
    def canonical(self, architecture):
        return Architecture(self.name, {**architecture.choices, "width": 9})


class InTheOrderOfNames(Sound):
    def architecture(self, choices):
        return Architecture(self.name, {"hidden": next(iter(choices)) == "hidden"})


class OfItsOwnRandomness(Sound):
    def sample(self, rng):
        return super().sample(random.Random(next(COUNTER)))


class SamplesAnything(Sound):
    def sample(self, rng):
        return Architecture(self.name, {"width": rng.choice((1, 2, 3)), "hidden": False})


class SamplesTheSmallest(Sound):
    def sample(self, rng):
        return self.architecture({"width": 1, "hidden": True})


class MutatesNothing(Sound):
    def mutate(self, architecture, rng):
        return architecture


class OfOneLogit(Sound):
    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        return super().build(architecture, input_shape, 1)


class WithALayerToSpare(Sound):
    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        network = super().build(architecture, input_shape, num_classes)
        network[0].spare = nn.Linear(1, 1)
        return network


class TooNarrowForFinals(Sound):
    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        shape = input_shape if scale == "proxy" else (1, 2, 2)
        return super().build(architecture, shape, num_classes)


class OfOneInitialisation(Sound):
    def build(self, *arguments, **options):
        torch.manual_seed(0)
        return super().build(*arguments, **options)


class NeverTheSame(Sound):
    def build(self, *arguments, **options):
        torch.manual_seed(next(COUNTER))
        return super().build(*arguments, **options)


class MergesOthers(Sound):
    """It says that the width never matters."""

    def canonical(self, architecture):
        return Architecture(self.name, {**architecture.choices, "width": 1})


class OfSteps(nn.Module):
    def forward(self, x):
        return x.detach()


class WithoutASecondDerivative(Sound):
    """Its loss does not depend on the images in a way that can be differentiated."""

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        return nn.Sequential(OfSteps(), super().build(architecture, input_shape, num_classes))


@pytest.mark.parametrize(
    ("space", "rule", "told"),
    [
        (OfTuples, rules.architectures_survive_json, "are others after JSON"),
        (
            NeverDone,
            rules.the_canonical_form_is_a_fixed_point_in_the_space,
            "canonical changes what it returned for",
        ),
        (
            OfAnotherName,
            rules.the_canonical_form_is_a_fixed_point_in_the_space,
            "an architecture of 'another' for one of 'sound'",
        ),
        (
            OutOfTheSpace,
            rules.the_canonical_form_is_a_fixed_point_in_the_space,
            r"width=9 is none of \(1, 2, 3\)",
        ),
        (InTheOrderOfNames, rules.keys_depend_on_the_choices_alone, "the order in which choices"),
        (
            OfItsOwnRandomness,
            rules.sampling_follows_the_seed_and_is_canonical,
            "sample returned two architectures for one seed, 0",
        ),
        (SamplesAnything, rules.sampling_follows_the_seed_and_is_canonical, "is not canonical"),
        (
            SamplesTheSmallest,
            rules.sampling_reaches_every_option,
            "width={2, 3} came in none of 500",
        ),
        (
            MutatesNothing,
            rules.a_mutation_changes_the_key_and_stays_in_the_space,
            "mutate left .* as they were",
        ),
        (OfOneLogit, rules.networks_take_images_and_learn, r"\(4, 7\), and returned \(4, 1\)"),
        (
            WithALayerToSpare,
            rules.networks_take_images_and_learn,
            r"0\.spare\.\w+ has no finite gradient; leave parameters out",
        ),
        (OfOneInitialisation, rules.the_seed_decides_the_weights, "same weights under another"),
        (NeverTheSame, rules.the_seed_decides_the_weights, "other weights under the same seed"),
        (MergesOthers, rules.equal_keys_build_equal_networks, "are other networks"),
        (
            WithoutASecondDerivative,
            rules.a_step_of_training_can_be_differentiated,
            "no finite gradient of a loss after a step",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_rule_is_named(space, rule, told):
    shape = [SHAPE] if rule in CHECKS_OF_NETWORKS else []
    rule(Sound(), *shape)
    with pytest.raises(AssertionError, match=told):
        rule(space(), *shape)


def test_a_sound_space_passes_every_check():
    check_space(Sound(), SHAPE)


def test_what_a_network_raises_is_not_hidden():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        check_space(TooNarrowForFinals(), SHAPE)


def test_every_rule_has_a_space_that_breaks_it():
    (mark,) = test_a_broken_rule_is_named.pytestmark
    rules_broken = {rule for _, rule, _ in mark.args[1]}
    assert rules_broken == {*CHECKS_OF_CHOICES, *CHECKS_OF_NETWORKS}
