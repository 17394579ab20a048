import fcntl
import os
import socket

import pytest

from gtn_nas.errors import RunFolderError
from gtn_nas.results.holder import Holder
from gtn_nas.results.lock import holder_of, locked
from gtn_nas.storage.bucket import BucketPath

from ..gate import Time


def test_whoever_holds_a_lock_is_known_to_everyone(tmp_path):
    assert holder_of(tmp_path) is None
    lock = locked(tmp_path)
    assert holder_of(tmp_path) == Holder(socket.gethostname(), os.getpid())
    with pytest.raises(RunFolderError, match="another process writes"):
        locked(tmp_path)
    lock.release()
    assert holder_of(tmp_path) is None


def test_a_look_does_not_keep_a_writer_out(tmp_path, monkeypatch):
    locked(tmp_path).release()
    look = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    monkeypatch.setattr("gtn_nas.results.lock.time.sleep", lambda seconds: os.close(look))
    locked(tmp_path).release()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"host": 3}', b"\xff", b'{"pid": "x"}'])
def test_a_lock_that_says_nothing_is_that_of_another_process(tmp_path, text):
    lock = locked(tmp_path)
    (tmp_path / ".lock").write_bytes(text)
    assert str(holder_of(tmp_path)) == "another process"
    lock.release()


def test_the_holder_of_a_lease_in_a_bucket_is_known(bucket):
    time = Time()
    folder = BucketPath.of(f"{bucket}/run", clock=time.clock, pause=time.pause)
    assert holder_of(folder) is None
    lock = locked(folder)
    assert holder_of(folder) == Holder.this_process()
    lock.release()
    assert holder_of(folder) is None
