import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtn_nas.architecture import Architecture
from gtn_nas.trial import SCHEMA_VERSION, Record, Status, Trial, derived_seed, status_of

ARCHITECTURE = Architecture("cells", {"width": 16, "residual": False, "norm": None})
TRIAL = Trial(ARCHITECTURE, 32, 5, parent_key="parent", seed=7, evaluation_id="id")


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


class MoreThanMemoryError(OutOfMemoryError):
    """A kind of it."""


def test_a_record_starts_from_its_trial():
    record = Record.of(TRIAL, Status.OK, proxy_accuracy=0.5)
    assert record.key == ARCHITECTURE.key
    assert record.architecture == ARCHITECTURE
    shared = {f.name for f in fields(Trial)} & {f.name for f in fields(Record)}
    assert shared == {"budget", "ask_index", "parent_key", "seed", "evaluation_id"}
    assert all(getattr(record, name) == getattr(TRIAL, name) for name in shared)
    assert (record.status, record.proxy_accuracy) == ("ok", 0.5)
    assert record.schema_version == SCHEMA_VERSION


def test_a_record_knows_when_it_was_made_whatever_the_time_zone():
    assert Record.of(TRIAL, Status.OK).created_at.tzinfo is UTC


def test_records_do_not_share_their_extra_scores():
    one, other = Record.of(TRIAL, Status.OK), Record.of(TRIAL, Status.OK)
    assert isinstance(one.extra, Mapping)
    assert one.extra is not other.extra


def test_a_trial_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TRIAL.seed = 8


@pytest.mark.parametrize("thing", [TRIAL, Record.of(TRIAL, Status.FAILED, error="wrong")])
def test_trials_and_records_travel_between_processes(thing):
    there = pickle.loads(pickle.dumps(thing))  # noqa: S301  # our own bytes
    assert there == thing
    assert replace(there, budget=1) != thing


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FloatingPointError("loss"), Status.DIVERGED),
        (MemoryError(), Status.OOM),
        (torch.OutOfMemoryError("CUDA"), Status.OOM),
        (OutOfMemoryError(), Status.OOM),
        (MoreThanMemoryError(), Status.OOM),
        (ValueError("shape"), Status.FAILED),
        (OSError("cannot find file"), Status.FAILED),
        (ZeroDivisionError(), Status.FAILED),
    ],
    ids=repr,
)
def test_an_error_decides_the_status(error, status):
    assert status_of(error) is status


def test_what_torch_raises_without_memory_is_out_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert status_of(caught.value) is Status.OOM


PARTS = st.lists(st.integers() | st.text(), max_size=4)


@settings(deadline=None)
@given(parts=PARTS)
def test_a_derived_seed_depends_on_its_parts_alone_and_fits_every_generator(parts):
    seed = derived_seed(*parts)
    assert 0 <= seed < 2**31
    assert derived_seed(*parts) == seed


def test_derived_seeds_do_not_change_between_releases():
    assert derived_seed(0, "a1b2c3d4e5f60718") == 1861865675


def test_every_part_of_a_derived_seed_counts():
    seeds = {derived_seed(seed, "epoch", epoch) for seed in range(50) for epoch in range(50)}
    assert len(seeds) > 2490
    assert derived_seed(1, 2) != derived_seed(2, 1) != derived_seed(12)
