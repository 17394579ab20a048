import socket
from pathlib import Path

import pytest

from gtn_nas.config.local_inputs import data_folder, local_inputs, require_inputs
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.validate import ValidateConfig
from gtn_nas.errors import ConfigError


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [
        ("digits", None),
        ("folder:photos", "photos"),
        ("parquet:/data/tables", "/data/tables"),
        ("folder:s3://bucket/photos", "s3://bucket/photos"),
        ("folder:", None),
        ("s3://bucket/photos", None),
    ],
)
def test_a_data_set_may_be_named_with_its_folder(dataset, folder):
    assert data_folder(SearchConfig(dataset=dataset)) == folder


def test_what_is_read_from_this_machine_is_known_by_its_setting():
    search = SearchConfig(dataset="folder:~/photos", teacher="mine.safetensors")
    assert local_inputs(search) == {
        "dataset": Path.home() / "photos",
        "teacher": Path("mine.safetensors"),
    }
    validation = ValidateConfig(truth=Path("table.csv"), teacher="digits-conv_chain")
    assert local_inputs(validation) == {"truth": Path("table.csv")}
    pretrain = PretrainConfig(start=Path("a/teacher"), rank_labels=Path("runs/one"))
    assert local_inputs(pretrain) == {"start": Path("a/teacher"), "rank_labels": Path("runs/one")}


def test_what_is_in_an_object_store_is_not_on_this_machine():
    config = SearchConfig(dataset="parquet:s3://bucket/data", teacher="gs://bucket/t.safetensors")
    assert local_inputs(config) == {}


def test_what_is_missing_is_named_with_the_machine(tmp_path):
    here = SearchConfig(dataset=f"folder:{tmp_path}")
    require_inputs(here)
    with pytest.raises(ConfigError) as caught:
        require_inputs(SearchConfig(dataset="folder:no/photos"))
    machine = socket.gethostname()
    assert str(caught.value) == f"dataset: there is no 'no/photos' on this machine ({machine})"
    with pytest.raises(ConfigError, match="pretrain` makes a teacher"):
        require_inputs(here.model_copy(update={"teacher": "no/such.safetensors"}))
