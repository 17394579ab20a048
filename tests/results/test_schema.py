import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtn_nas.architecture import Architecture
from gtn_nas.results.schema import KINDS, Event, columns, identity, required
from gtn_nas.trial import Record, Trial

from .samples import INTEGER, TEXT


def test_columns_follow_the_fields_of_a_record():
    names = [f.name for f in fields(Record)]
    assert [*columns(Record), "extra"] == names
    assert columns(Record)["created_at"] == "TIMESTAMP WITH TIME ZONE"
    assert columns(Record)["proxy_accuracy"] == "DOUBLE"
    assert columns(Record)["params"] == "BIGINT"
    assert columns(Record)["status"] == columns(Record)["error"] == "VARCHAR"


@pytest.mark.parametrize("table", KINDS)
def test_every_table_has_its_required_columns_its_identity_and_its_run(table):
    kind = KINDS[table]
    assert {*required(kind), *identity(kind), "run", "schema_version"} <= set(columns(kind))


@given(
    choices=st.dictionaries(TEXT, st.none() | st.booleans() | INTEGER | TEXT),
    budget=INTEGER,
    ask_index=INTEGER,
    parent_key=st.none() | TEXT,
    seed=INTEGER,
)
def test_an_ask_gives_its_trial_back(choices, budget, ask_index, parent_key, seed):
    trial = Trial(Architecture("s", choices), budget, ask_index, parent_key, seed, "e")
    event = Event.ask(trial)
    assert event.trial() == trial
    assert event.key == trial.architecture.key
    assert json.loads(event.details)["budget"] == budget


def test_other_events_hold_no_trial():
    with pytest.raises(ValueError, match="'stop' holds no trial"):
        Event("stop").trial()
