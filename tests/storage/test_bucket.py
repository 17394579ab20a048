"""Files in a bucket of a real S3 server, and what happens when that does not answer."""

import logging
import pickle
import urllib.request

import pytest

from gtn_nas.errors import ConfigError, EnvironmentFailure, StoreError
from gtn_nas.storage.bucket import LONGEST_PAUSE_S, OUTAGE_S, BucketPath

from ..gate import Time


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def folder(bucket, time):
    return BucketPath.of(f"{bucket}/runs/a", clock=time.clock, pause=time.pause)


@pytest.fixture
def patient(folder):
    """The same, in the middle of something."""
    folder.bucket.waits_s = OUTAGE_S
    return folder


# as of a path


@pytest.mark.parametrize("size", [0, 5, 12_000_000])  # the last goes over in several pieces
def test_contents_come_back_and_are_replaced(folder, size):
    path = folder / "x.bin"
    for contents in (b"before", b"abcde" * (size // 5)):
        path.write_bytes(contents)
        assert path.read_bytes() == contents
    assert path.is_file()


def test_names_are_those_of_files_and_of_this_folder_alone(folder):
    for name in ("a", "b/c", "b/d/e"):
        (folder / name).write_bytes(b"")
    (folder.parent / "other").write_bytes(b"")
    assert folder.names() == ["a"]
    assert sorted(folder.names(everything=True)) == ["a", "b/c", "b/d/e"]
    assert (folder / "nowhere").names() == []


def test_what_is_removed_is_gone(folder):
    path = folder / "x"
    with pytest.raises(FileNotFoundError):
        path.unlink()
    path.unlink(missing_ok=True)
    path.write_bytes(b"")
    path.unlink()
    assert not path.exists()
    for name in ("a", "b/c"):
        (folder / name).write_bytes(b"")
    folder.remove_tree()
    folder.remove_tree()
    assert folder.names(everything=True) == []


def test_what_is_missing_is_missing(folder):
    assert not folder.exists()
    assert not (folder / "x").is_file()
    for ask in (BucketPath.read_bytes, BucketPath.modified):
        with pytest.raises(FileNotFoundError):
            ask(folder / "x")


def test_a_folder_is_no_file(folder):
    (folder / "x").write_bytes(b"")
    assert folder.exists()
    assert not folder.is_file()


def test_a_path_is_written_as_the_uri_that_leads_there(bucket, gate):
    query = f"?endpoint_override=127.0.0.1:{gate.port}&scheme=http&region=us-east-1"
    path = BucketPath.of(f"{bucket}/runs/a/{query}") / "x" / "y"
    path.write_bytes(b"here")
    assert str(path) == f"{bucket}/runs/a/x/y{query}"
    assert (path.name, path.parent.name) == ("y", "x")
    assert BucketPath.of(str(path)) == path
    assert BucketPath.of(str(path)).read_bytes() == b"here"


def test_a_path_travels_without_what_belongs_to_this_process(patient):
    def fence():
        raise AssertionError

    patient.bucket.fence = fence
    travelled = pickle.loads(pickle.dumps(patient / "x"))  # noqa: S301  (our own)
    travelled.write_bytes(b"from elsewhere")
    assert travelled.bucket.waits_s == OUTAGE_S
    assert (patient / "x").read_bytes() == b"from elsewhere"


# outages


def test_a_first_failure_is_told_at_once(folder, time, gate):
    gate.shut()
    with pytest.raises(StoreError, match=r"^cannot reach s3://bucket-.*/runs/a/x: ") as caught:
        (folder / "x").exists()
    assert "\n" not in str(caught.value)
    assert time.pauses == []


def test_an_outage_is_waited_out_ever_more_patiently_and_told_once(patient, time, gate, caplog):
    (patient / "x").write_bytes(b"before")
    for pauses in (1, 3):
        gate.shut()
        time.meanwhile = [lambda: None] * (pauses - 1) + [gate.open]
        (patient / "x").write_bytes(b"after")
    assert (patient / "x").read_bytes() == b"after"
    assert time.pauses == [0.5, 0.5, 1, 2]
    told = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert [text.startswith(f"cannot write {patient}/x: ") for text in told] == [True, True]


def test_a_long_outage_is_a_failure_and_nothing_more_is_waited_for(patient, time, gate):
    patient.bucket.waits_s = 20
    gate.shut()
    with pytest.raises(StoreError, match="cannot write"):
        (patient / "x").write_bytes(b"")
    assert time.pauses == [0.5, 1, 2, 4, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    paused = len(time.pauses)
    with pytest.raises(StoreError, match="cannot list"):
        patient.names()
    assert len(time.pauses) == paused
    gate.open()
    assert patient.names() == []
    gate.shut()
    time.meanwhile = [gate.open]
    assert patient.names() == []  # a new outage is waited out again


def test_who_may_not_write_does_not_even_after_an_outage(patient, time, gate):
    def taken_over():
        gate.open()
        patient.bucket.fence = fence

    def fence():
        raise EnvironmentFailure("another process has taken over")

    gate.shut()
    time.meanwhile = [taken_over]
    with pytest.raises(EnvironmentFailure, match="another process"):
        (patient / "x").write_bytes(b"")
    with pytest.raises(EnvironmentFailure, match="another process"):
        (patient / "x").unlink()
    assert patient.names() == []


# refusals


@pytest.fixture
def strict(s3_port):
    """Let the server refuse keys that it does not know, as all of them are here."""

    def ask_for_keys(after):
        address = f"http://127.0.0.1:{s3_port}/moto-api/reset-auth"
        headers = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, after, headers, method="POST"))

    ask_for_keys(b"0")
    yield
    ask_for_keys(b"inf")


@pytest.mark.parametrize("act", [BucketPath.exists, BucketPath.names, BucketPath.read_bytes])
def test_a_refusal_asks_for_credentials_and_shows_none(folder, strict, act):
    with pytest.raises(StoreError, match="are the credentials in the environment right") as caught:
        act(folder / "x")
    assert "known-to-nobody" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_missing_bucket_is_named(gate):
    folder = BucketPath.of("s3://nobodys-bucket/runs/a")
    with pytest.raises(ConfigError, match="no bucket 'nobodys-bucket' for s3://nobodys-bucket/ru"):
        folder.require_bucket()
    with pytest.raises(StoreError, match=r"cannot write s3://nobodys-bucket/runs/a/x: .*NO_SUCH"):
        (folder / "x").write_bytes(b"")


@pytest.mark.parametrize("uri", ["s3://", "gs://", "s3:///x"])
def test_a_uri_without_a_bucket_is_refused(uri):
    with pytest.raises(ConfigError, match=f"^{uri} is no place for files: "):
        BucketPath.of(uri)


def test_google_is_opened_on_the_same_way():
    query = "?endpoint_override=127.0.0.1:9&scheme=http"
    folder = BucketPath.of(f"gs://anonymous@bucket/runs/a{query}")
    assert (folder.key, str(folder / "x")) == (
        "bucket/runs/a",
        f"gs://anonymous@bucket/runs/a/x{query}",
    )
