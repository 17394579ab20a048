"""What was asked for and what came of it."""

from gtn_nas.architecture import Architecture
from gtn_nas.searching.ledger import Ledger
from gtn_nas.trial import Record, Status, Trial


def trial(x: int, budget: int = 4) -> Trial:
    architecture = Architecture("toy", {"x": x, "name": "wide"})
    return Trial(architecture, budget, ask_index=x, parent_key="p", seed=5, evaluation_id="e")


def record(of: Trial, **values: object) -> Record:
    return Record.of(of, Status.OK, proxy_loss=0.5, extra={"nwot": 1.5}, **values)


def test_a_trial_is_asked_for_once_at_each_budget():
    ledger = Ledger()
    assert [ledger.ask(t) for t in (trial(1), trial(1), trial(1, 8), trial(2))] == [
        True,
        False,
        True,
        True,
    ]
    assert (ledger.trials, ledger.architectures, ledger.told) == (3, 2, 0)


def test_what_has_no_record_is_unfinished_in_the_order_of_asking():
    ledger = Ledger()
    trials = [trial(x) for x in (3, 1, 2)]
    for asked in trials:
        ledger.ask(asked)
    assert ledger.tell(record(trials[1]))
    assert ledger.unfinished() == [trials[0], trials[2]]
    assert ledger.unfinished()[0].architecture.choices == trials[0].architecture.choices


def test_records_come_back_as_they_were_in_the_order_of_telling():
    ledger = Ledger()
    records = [record(trial(x), tell_index=place) for place, x in enumerate((3, 1, 2))]
    for told in records:
        ledger.ask(trial(told.ask_index))
        ledger.tell(told)
    assert ledger.records() == records
    assert ledger.record_of(trial(1)) == records[1]
    assert ledger.record_of(trial(9)) is None


def test_the_first_record_counts_and_one_that_nobody_asked_for_does_not():
    ledger = Ledger()
    ledger.ask(trial(1))
    first = record(trial(1))
    assert ledger.tell(first)
    assert not ledger.tell(record(trial(1), error="later"))
    assert not ledger.tell(record(trial(2)))
    assert (ledger.records(), ledger.told) == ([first], 1)
