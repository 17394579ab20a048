"""A local file and an object store (Arrow's ``file://`` stands for it) keep the same promises."""

import os
import pickle
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtn_nas.errors import ConfigError, EnvironmentFailure, TeacherError
from gtn_nas.pretraining.checkpoint import Checkpoint

CPU = torch.device("cpu")


def state(iteration=3):
    """What a trainer's state is made of."""
    moments = {0: {"step": torch.tensor(2.0), "exp_avg": torch.ones(2, 3)}}
    return {
        "identity": "settings",
        "source": {"noise": torch.arange(50.0)},
        "optimiser": {"state": moments, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.9)}]},
        "iteration": iteration,
        "log_norm": None,
    }


@pytest.fixture
def path(tmp_path):
    """The file that a state is kept in, whatever it is called by."""
    return tmp_path / "unfinished" / "teacher.checkpoint"


@pytest.fixture(params=["path", "object store"])
def checkpoint(request, path):
    path.parent.mkdir()
    return Checkpoint(str(path) if request.param == "path" else path.as_uri())


def test_a_state_comes_back_as_it_was(checkpoint):
    checkpoint.save(state())
    again = Checkpoint(checkpoint.place).load(CPU)
    saved = state()
    assert torch.equal(again.pop("source")["noise"], saved.pop("source")["noise"])
    moments, wanted = (s["optimiser"]["state"][0].pop("exp_avg") for s in (again, saved))
    assert torch.equal(moments, wanted)
    assert again == saved


def test_tensors_come_to_the_wanted_device(checkpoint):
    checkpoint.save(state())
    assert checkpoint.load(torch.device("meta"))["source"]["noise"].is_meta


def test_a_state_takes_the_place_of_the_last_one(checkpoint, path):
    for iteration in (25, 50):
        checkpoint.save(state(iteration))
    assert checkpoint.load(CPU)["iteration"] == 50
    assert list(path.parent.iterdir()) == [path]


def test_a_state_is_there_until_it_is_removed(checkpoint, path):
    assert not checkpoint.exists()
    checkpoint.remove()
    checkpoint.save(state())
    assert checkpoint.exists()
    checkpoint.remove()
    assert not checkpoint.exists()
    assert list(path.parent.iterdir()) == []


def test_a_path_makes_its_folders(path):
    Checkpoint(str(path)).save(state())
    assert path.exists()


# damaged and foreign contents


@pytest.mark.parametrize("contents", [b"", b"hello\n" * 9, b"PK\x03\x04" + bytes(99), bytes(999)])
def test_what_is_no_checkpoint_is_refused_by_its_place(checkpoint, path, contents):
    path.write_bytes(contents)
    with pytest.raises(TeacherError, match="is damaged or no checkpoint; delete it") as caught:
        checkpoint.load(CPU)
    assert str(caught.value).startswith(checkpoint.place)


@pytest.mark.parametrize("other", [torch.zeros(3), 7, None, "state"], ids=str)
def test_another_file_of_torch_is_refused(checkpoint, path, other):
    torch.save(other, path)
    with pytest.raises(TeacherError, match="is damaged or no checkpoint"):
        checkpoint.load(CPU)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_torn_state_is_refused(checkpoint, path, share):
    checkpoint.save(state())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(TeacherError, match="is damaged or no checkpoint"):
        checkpoint.load(CPU)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_overwritten_bytes_are_refused_or_harmless(checkpoint, path, data):
    checkpoint.save(state())
    damaged = bytearray(path.read_bytes())
    places = st.integers(0, len(damaged) - 1)
    for place, byte in data.draw(st.dictionaries(places, st.integers(0, 255), min_size=1)).items():
        damaged[place] = byte
    path.write_bytes(damaged)
    with suppress(TeacherError):
        assert isinstance(checkpoint.load(CPU), dict)


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize(
    "form", [torch.save, partial(pickle.dump, protocol=2)], ids=["torch", "pickle"]
)
def test_code_in_a_file_is_never_executed(checkpoint, path, tmp_path, form):
    mark = tmp_path / "executed"
    pickle.loads(pickle.dumps(Code(mark)))  # noqa: S301  (this is what would happen)
    mark.rmdir()
    with path.open("wb") as file:
        form({**state(), "iteration": Code(mark)}, file)
    with pytest.raises(TeacherError, match="is damaged or no checkpoint"):
        checkpoint.load(CPU)
    assert not mark.exists()


# places


def test_what_cannot_be_read_is_not_called_damaged(checkpoint):
    with pytest.raises(EnvironmentFailure, match=f"cannot read {checkpoint.place}: "):
        checkpoint.load(CPU)


@pytest.mark.parametrize("as_place", [str, Path.as_uri], ids=["path", "object store"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, as_place):
    (tmp_path / "file").touch()
    place = as_place(tmp_path / "file" / "teacher.checkpoint")
    with pytest.raises(EnvironmentFailure, match=f"cannot write {place}: "):
        Checkpoint(place).save(state())


def test_an_outage_of_a_real_store_costs_no_state(bucket, gate):
    checkpoint = Checkpoint(f"{bucket}/teacher.checkpoint")
    checkpoint.save(state(25))
    gate.shut(refusals=3)  # Arrow asks twice before it says so
    checkpoint.save(state(50))
    assert gate.refused == 3
    assert Checkpoint(checkpoint.place).load(CPU)["iteration"] == 50
    checkpoint.remove()
    assert not checkpoint.exists()


def test_a_store_that_does_not_answer_is_named(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    nobody = "s3://bucket/key?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    with pytest.raises(EnvironmentFailure, match="cannot reach s3://bucket/key") as caught:
        Checkpoint(nobody).exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:hush@bucket/key",
        "s3://AKIA:hu/sh@bucket/key",
        "s3://hush@bucket/key",
        "abfs://container:hush@account.dfs.core.windows.net/key",
        "abfs://:hush@account.blob.core.windows.net/container/key",
        "abfs://container@account.dfs.core.windows.net/key?client_id=me&client_secret=hush",
        "s3://bucket/key?region=eu&secret_key=hush",
        "nowhere://me:hush@host/key",
    ],
)
def test_credentials_are_refused_and_not_repeated(uri):
    with pytest.raises(ConfigError, match="must not carry credentials; set them in the env") as no:
        Checkpoint(uri)
    assert "hu" not in str(no.value)


@pytest.mark.parametrize(
    "uri", ["gs://anonymous@bucket/key", "abfs://container@account.dfs.core.windows.net/key"]
)
def test_a_name_before_the_host_is_no_credential(uri):
    assert Checkpoint(uri).place == uri


@pytest.mark.parametrize(
    "uri",
    [
        "nowhere://bucket/key",
        "http://host/key",
        "://key",
        "s3://[bucket/key",
        "file://relative/key",
        "s3://bucket/key?colour=red",
    ],
)
def test_a_uri_of_no_store_is_refused(uri):
    with pytest.raises(ConfigError, match="is no place for files: ") as caught:
        Checkpoint(uri)
    assert str(caught.value).startswith(uri)
    assert "\n" not in str(caught.value)
