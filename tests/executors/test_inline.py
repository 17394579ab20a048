import signal
import threading
from collections.abc import Iterator

import pytest

from gtn_nas.trial import Arrays, Evaluate, Record, Status, Trial

from .conftest import Make
from .evaluators import trial, trials


def interrupted_factory(arrays: Arrays) -> Evaluate:
    def evaluate(candidate: Trial) -> Record:
        raise KeyboardInterrupt

    return evaluate


@pytest.fixture
def own_alarm() -> Iterator[None]:
    """An alarm that the caller of the executor has set for itself."""
    handler = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    left, interval = signal.setitimer(signal.ITIMER_REAL, 1000)
    yield
    signal.setitimer(signal.ITIMER_REAL, left, interval)
    signal.signal(signal.SIGALRM, handler)


def test_the_callers_alarm_is_put_back(make_inline: Make, own_alarm: None) -> None:
    acts = ["score", "loop", "raise"]
    candidates = [trial(index, act) for index, act in enumerate(acts)]
    records = list(make_inline(timeout_s=0.2).run(candidates))
    assert [record.status for record in records] == [Status.OK, Status.TIMEOUT, Status.FAILED]
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left < 1000


def test_there_is_no_deadline_outside_the_main_thread(make_inline: Make) -> None:
    executor = make_inline(timeout_s=1e-9)
    records: list[Record] = []
    thread = threading.Thread(target=lambda: records.extend(executor.run(trials(2))))
    thread.start()
    thread.join()
    assert [record.status for record in records] == [Status.OK, Status.OK]


def test_an_interrupt_ends_the_run(make_inline: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(make_inline(interrupted_factory).run(trials(1)))


def test_torch_computes_with_the_threads_asked_for(make_inline: Make) -> None:
    import torch

    before = torch.get_num_threads()
    executor = make_inline(threads=before + 1)
    assert torch.get_num_threads() == before + 1
    executor.close()
    executor.close()
    assert torch.get_num_threads() == before
