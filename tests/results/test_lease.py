"""One writer for a run in a bucket, whoever dies or is cut off."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from gtn_nas.errors import EnvironmentFailure, RunFolderError, StoreError
from gtn_nas.results.layout import LOCK
from gtn_nas.results.lease import LIFETIME_S, SETTLE_S, Lease
from gtn_nas.storage.bucket import BucketPath

from ..gate import Time


@pytest.fixture
def run(bucket):
    """Open the run's folder as another process does, with a time of its own."""

    def open_folder(time):
        return BucketPath.of(f"{bucket}/run", clock=time.clock, pause=time.pause)

    return open_folder


def die(lease):
    """Leave a lease as a process does that is killed: nobody renews it, nobody gives it back."""
    lease._released.set()
    lease._thread.join()


def pass_time(folder, seconds):
    """Let time pass on the server's clock since the lease was renewed."""
    from moto.s3.models import s3_backends

    (account,) = s3_backends.values()
    bucket = urlsplit(folder.base).netloc
    key = account["aws"].buckets[bucket].keys[f"run/{LOCK}"]
    key.last_modified -= timedelta(seconds=seconds)


def test_a_free_folder_is_taken_and_given_back(run):
    time = Time()
    lease = Lease(run(time))
    assert (run(time) / LOCK).is_file()
    assert time.pauses == [SETTLE_S]
    lease.release()
    lease.release()
    assert run(time).names() == []


def test_a_second_writer_is_refused_as_soon_as_the_first_shows_that_it_lives(run):
    first = Lease(run(Time()))
    time = Time(lambda: None, first.renew)
    with pytest.raises(RunFolderError, match=r"another process writes s3://.*/run; wait until"):
        Lease(run(time))
    assert len(time.pauses) == 2
    first.check()
    assert run(time).names() == [LOCK]
    first.release()


def test_a_second_writer_need_not_wait_for_one_that_ends(run):
    first = Lease(run(Time()))
    time = Time(first.release)
    Lease(run(time)).release()
    assert len(time.pauses) == 2


def test_a_dead_writer_is_waited_for_no_longer_than_its_lease(run):
    die(Lease(run(Time())))
    time = Time()
    second = Lease(run(time))
    assert LIFETIME_S - 2 < sum(time.pauses) <= LIFETIME_S + SETTLE_S + 1
    second.check()
    second.release()


def test_what_time_it_is_the_store_says(run):
    folder = run(Time())
    die(Lease(folder))
    pass_time(folder, LIFETIME_S - 10)
    time = Time()
    second = Lease(run(time))
    assert sum(time.pauses) <= 10 + SETTLE_S
    die(second)
    pass_time(folder, LIFETIME_S)
    late = Time()
    Lease(run(late)).release()
    assert late.pauses == [SETTLE_S]


def test_of_two_that_come_at_once_one_is_refused(run):
    theirs = b'{"owner": "someone else"}'
    time = Time()
    time.meanwhile = [lambda: (run(time) / LOCK).write_bytes(theirs)]
    with pytest.raises(RunFolderError, match="another process writes"):
        Lease(run(time))
    assert (run(time) / LOCK).read_bytes() == theirs


@pytest.mark.parametrize("contents", [b"", b"\xff", b"[1]", b"7", b"{}"])
def test_a_damaged_lease_counts_as_that_of_another(run, contents):
    time = Time()
    (run(time) / LOCK).write_bytes(contents)
    Lease(run(time)).release()
    assert sum(time.pauses) > LIFETIME_S - 2


def test_who_was_taken_over_finds_out_before_it_writes(run):
    time = Time()
    folder = run(time)
    first = Lease(folder)
    (folder / "before").write_bytes(b"")
    first._released.set()  # as if its machine slept
    later = Time()
    second = Lease(run(later))
    time.now += LIFETIME_S + 1
    with pytest.raises(EnvironmentFailure, match="another process has taken over s3://") as caught:
        (folder / "after").write_bytes(b"")
    assert not isinstance(caught.value, StoreError)  # which would be waited out
    with pytest.raises(EnvironmentFailure, match="another process has taken over"):
        (folder / "before").unlink()
    assert sorted(run(later).names()) == [LOCK, "before"]
    second.release()


def test_who_slept_and_was_not_taken_over_goes_on(run):
    time = Time()
    folder = run(time)
    first = Lease(folder)
    time.now += 10 * LIFETIME_S
    (folder / "after").write_bytes(b"")
    first.release()
    assert folder.names() == ["after"]


def test_an_outage_longer_than_the_lease_is_waited_out_if_nobody_else_came(run, gate):
    time = Time()
    folder = run(time)
    first = Lease(folder)
    gate.shut()
    time.now += LIFETIME_S + 1
    time.meanwhile = [lambda: None, gate.open]
    (folder / "after").write_bytes(b"")
    first.release()
    assert folder.names() == ["after"]


def test_whoever_is_ended_does_not_wait_for_the_store(run, gate):
    time = Time()
    folder = run(time)
    lease = Lease(folder)
    gate.shut()
    lease.hurry()
    before = len(time.pauses)
    with pytest.raises(StoreError):
        (folder / "x").write_bytes(b"")
    lease.release()
    assert len(time.pauses) == before
