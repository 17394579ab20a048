from functools import partial

import torch
from torch import nn

from gtn_nas.architecture import Architecture
from gtn_nas.proxies.base import seed_of
from gtn_nas.spaces import get_space
from gtn_nas.trial import Trial

SPACE = get_space("conv_chain")
SHAPE, CLASSES = (1, 8, 8), 10
STEPS = 12
"""Steps of the lessons."""


def architecture(**choices):
    """A small network, two layers deep; other choices on demand."""
    smallest = {name: options[0] for name, options in SPACE.choices.items()}
    return SPACE.architecture(smallest | choices)


def trial(of: Architecture | None = None, budget=STEPS, seed=0):
    return Trial(of or architecture(), budget, ask_index=0, seed=seed)


def build(trial, initialisation=0, scale="proxy") -> nn.Module:
    torch.manual_seed(seed_of(trial, initialisation))
    return SPACE.build(trial.architecture, SHAPE, CLASSES, scale)


def run(proxy, trial, data):
    """Score a trial; the scores alone, without times."""
    return dict(proxy(partial(build, trial), trial, data).columns)
