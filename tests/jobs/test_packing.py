"""What a job takes along of this machine, and what it is refused for."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.config.search import SearchConfig
from gtn_nas.config.validate import ValidateConfig
from gtn_nas.errors import GtnNasError
from gtn_nas.jobs import packing
from gtn_nas.jobs.packing import Command, pack

OUT = {"out": "/shared/run"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current directory, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def job(tmp_path):
    """The folder of a job."""
    folder = tmp_path / "job"
    folder.mkdir()
    return folder


def search(*flags, **settings):
    return Command("search", SearchConfig, OUT | settings, flags)


def packed(job):
    return sorted(str(path.relative_to(job)) for path in job.rglob("*") if path.is_file())


def settings_in(job):
    return yaml.safe_load((job / "job.yaml").read_text())


def complaint(command, job):
    with pytest.raises(GtnNasError) as caught:
        pack(command, job)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plain_search_takes_its_settings_along_and_nothing_else(here, job):
    (here / "private.txt").write_text("mine")
    command = search("--resume", candidates=7, data_dir=Path("/shared/data"), limits=["params<=9"])
    assert pack(command, job) == ["gtn-nas", "search", "--config", "job.yaml", "--resume"]
    assert packed(job) == ["job.yaml"]
    given = {"out": "/shared/run", "candidates": 7, "data_dir": "/shared/data"}
    assert settings_in(job) == given | {"limits": ["params<=9"], "address": None}
    assert SearchConfig.model_validate(settings_in(job)).candidates == 7


def test_small_files_travel_and_are_found_in_the_jobs_folder(here, job):
    for name in ("My teacher.safetensors", "known.csv", "begin.safetensors"):
        (here / name).write_text(name)
    known = {"teacher": str(here / "My teacher.safetensors"), "truth": "known.csv"}
    pack(Command("validate-proxy", ValidateConfig, OUT | known), job)
    assert packed(job) == ["job.yaml", "teacher.safetensors", "truth.csv"]
    assert settings_in(job)["teacher"] == "teacher.safetensors"
    assert (job / settings_in(job)["truth"]).read_text() == "known.csv"
    pack(Command("pretrain", PretrainConfig, OUT | {"start": Path("begin.safetensors")}), job)
    assert settings_in(job)["start"] == "start.safetensors"


@pytest.mark.parametrize(
    "settings",
    [
        {"teacher": "digits-conv_chain"},
        {"teacher": "s3://bucket/teacher.safetensors"},
        {"teacher": "/shared/of the cluster.safetensors"},
        {"dataset": "folder:/shared/photos"},
        {"dataset": "parquet:gs://bucket/tables"},
        {"out": "s3://bucket/runs/first"},
    ],
)
def test_what_the_cluster_has_is_named_as_it_was(here, job, settings):
    pack(search(**settings), job)
    assert settings_in(job) == OUT | settings | {"address": None}
    assert packed(job) == ["job.yaml"]


def test_a_module_of_ones_own_travels_alone(here, job):
    (here / "my_space.py").write_text("import other")
    (here / "other.py").touch()
    pack(search(space="my_space:Mine"), job)
    assert packed(job) == ["job.yaml", "my_space.py"]
    assert (job / "my_space.py").read_text() == "import other"


def test_a_package_of_ones_own_travels_whole_but_for_what_is_hidden_compiled_or_linked(here, job):
    for name in ("lab/__init__.py", "lab/deep/sizes.py", "lab/sizes.json", "outside/secret.txt"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    for name in ("lab/.env", "lab/__pycache__/sizes.pyc", "lab/deep/.git/config"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    os.symlink(here / "outside", here / "lab" / "linked")
    os.symlink(here / "outside" / "secret.txt", here / "lab" / "linked.py")
    pack(search(space="lab.deep.spaces:Mine"), job)
    assert packed(job) == ["job.yaml", "lab/__init__.py", "lab/deep/sizes.py", "lab/sizes.json"]


def test_a_strategy_of_ones_own_travels_beside_the_space(here, job):
    (here / "my_space.py").touch()
    (here / "my_strategy.py").touch()
    pack(search(space="my_space:Mine", strategy="my_strategy:Mine"), job)
    assert packed(job) == ["job.yaml", "my_space.py", "my_strategy.py"]


def test_a_package_with_space_and_strategy_travels_once(here, job):
    (here / "lab").mkdir()
    for name in ("__init__.py", "spaces.py", "strategies.py"):
        (here / "lab" / name).touch()
    pack(search(space="lab.spaces:Mine", strategy="lab.strategies:Mine"), job)
    assert packed(job) == ["job.yaml", "lab/__init__.py", "lab/spaces.py", "lab/strategies.py"]


def test_a_module_that_is_installed_stays_where_it_is(here, job):
    pack(search(space="gtn_nas.spaces.conv_chain:ConvChain"), job)
    assert packed(job) == ["job.yaml"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"candidats": 3}, "unknown setting 'candidats'; did you mean 'candidates'?"),
        ({"dataset": "digit"}, "unknown data set 'digit'; did you mean digits?"),
        ({"dataset": "folders:/shared/photos"}, "unknown data set 'folders:/shared/photos'"),
        ({"space": "conv_chian"}, "unknown search space 'conv_chian'; did you mean conv_chain?"),
        ({"teacher": "digits-conv"}, "unknown teacher 'digits-conv'; did you mean digits-conv_cha"),
        ({"space": "absent_module:Mine"}, "space: there is no module 'absent_module' in this"),
        ({"strategy": "randon"}, "unknown strategy 'randon'; did you mean random?"),
        ({"strategy": "absent_module:Mine"}, "strategy: there is no module 'absent_module' in"),
        ({"space": "../up:Mine"}, "space: there is no module"),
        ({"address": "10.0.0.1:6379"}, "address: a job runs on the cluster that it is submitted"),
        ({"teacher": "absent.safetensors"}, "teacher: there is no file 'absent.safetensors'"),
        ({"dataset": "folder:photos"}, "dataset: 'photos' is a path of this folder, which a clus"),
        ({"out": "runs/first"}, "out: 'runs/first' is a path of this folder"),
        ({"data_dir": "data"}, "data_dir: 'data' is a path of this folder"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(here, job, settings, said):
    assert said in complaint(search(**settings), job)


def test_results_need_a_place_that_outlives_the_job(here, job):
    message = complaint(Command("search", SearchConfig, {"candidates": 3}), job)
    assert message.startswith("a job needs a place for its results: --out s3://BUCKET/NAME")


def test_a_finding_is_not_written_into_a_copy(here, job):
    (here / "mine.safetensors").touch()
    given = OUT | {"teacher": "mine.safetensors"}
    message = complaint(Command("validate-proxy", ValidateConfig, given, ("--into-teacher",)), job)
    assert message.startswith("--into-teacher would write into the job's own copy")


def test_what_is_large_is_refused_with_its_name(here, job, monkeypatch):
    monkeypatch.setattr(packing, "MAX_BYTES", 3 * 2**20)
    (here / "lab").mkdir()
    (here / "lab" / "images.npy").write_bytes(bytes(5 * 2**20))
    message = complaint(search(space="lab.space:Mine"), job)
    assert "at most 3 MiB along, and this is 5 MiB, most of it lab/images.npy" in message
    shutil.rmtree(job)


@pytest.mark.parametrize("name", ["out", "teacher", "dataset"])
def test_credentials_are_refused_and_not_repeated(here, job, name):
    uri = "s3://who:hidden@bucket/place"
    message = complaint(search(**{name: f"folder:{uri}" if name == "dataset" else uri}), job)
    assert message == "a s3:// URI must not carry credentials; set them in the environment"
