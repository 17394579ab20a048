"""What every back-end does; whole searches by each are in ``tests/searching/test_search.py``."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gtn_nas.config.search import SearchConfig
from gtn_nas.data import load_dataset
from gtn_nas.errors import ClusterError, ResourceError, UnknownNameError
from gtn_nas.searching.backends import BACKENDS, get_backend
from gtn_nas.spaces import get_space
from gtn_nas.training.final import FinalJob, FinalTask
from gtn_nas.training.train import FinalConfig
from gtn_nas.trial import Status

from ...executors import evaluators


@pytest.fixture(params=BACKENDS)
def config(request: pytest.FixtureRequest) -> SearchConfig:
    """What makes each back-end; two workers fit on the Ray of the tests."""
    if request.param == "ray":
        request.getfixturevalue("ray_local")
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(evaluators)
    return SearchConfig(executor=request.param, workers=2)


def test_trials_are_evaluated_while_it_is_connected(config, tmp_path):
    backend = get_backend(config)
    factory, arrays = evaluators.ToyFactory(tmp_path), evaluators.toy_arrays()
    with backend.connected() as dashboard, backend.executor(factory, arrays) as executor:
        records = list(executor.run(evaluators.trials(6)))
    assert dashboard is None
    assert [r.status for r in records] == [Status.OK] * 6
    assert {r.proxy_accuracy for r in records} == {float(w) for w in arrays["weights"][:6]}


def test_as_many_networks_are_trained_at_once_as_fit(config):
    backend = get_backend(config)
    with backend.connected():
        assert backend.side_by_side() == {"inline": 1, "ray": 2}[config.executor]


def test_a_number_of_workers_given_there_counts(config, tmp_path):
    backend = get_backend(config)
    factory, arrays = evaluators.ToyFactory(tmp_path), evaluators.toy_arrays()
    with backend.connected(), backend.executor(factory, arrays, workers=1) as executor:
        assert len(list(executor.run(evaluators.trials(2)))) == 2
        assert executor.workers == 1


def test_networks_are_trained_fully_and_told(config, tmp_path):
    space, dataset = get_space("conv_chain"), load_dataset("digits")
    task = FinalTask(space, dataset, FinalConfig(epochs=2))
    smallest = {name: options[0] for name, options in space.choices.items()}
    job = FinalJob(space.architecture(smallest), rank=1, seed=0)
    epochs, outcomes = [], []
    backend = get_backend(config)
    with backend.connected():
        backend.train(
            task,
            [job],
            tmp_path,
            lambda job, report: epochs.append(report.epoch),
            lambda job, outcome: outcomes.append(outcome),
        )
        backend.train(task, [], tmp_path, print, print)
    assert epochs == [1, 2]
    (outcome,) = outcomes
    assert outcome.status is Status.OK
    assert outcome.weights


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown executor 'inlin'; did you mean inline"):
        get_backend(SearchConfig(executor="inlin"))


@pytest.mark.parametrize("name", BACKENDS)
def test_a_search_can_be_prepared_without_importing_ray(name):
    """Ray reads how to authenticate when it is imported, which ``connected`` sets first."""
    code = (
        "import sys; from gtn_nas.config.search import SearchConfig; "
        "from gtn_nas.searching.backends import get_backend; "
        f"get_backend(SearchConfig(executor={name!r})); print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_inline_has_as_many_threads_as_a_worker_of_ray_has_cpus():
    before = torch.get_num_threads()
    config = SearchConfig(executor="inline", cpus_per_worker=before + 1.5)
    factory = evaluators.ToyFactory(Path())
    with get_backend(config).executor(factory, evaluators.toy_arrays()):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_full_training_takes_whole_gpus(ray_local, tmp_path):
    config = SearchConfig(gpus_per_worker=0.25)
    with pytest.raises(ResourceError, match=r"1 CPUs \+ 1 GPUs"):
        get_backend(config).side_by_side()


def test_the_address_of_the_configuration_is_what_is_joined():
    """In a process of its own: one that is connected to Ray would go on with that."""
    code = (
        "from gtn_nas.config.search import SearchConfig; "
        "from gtn_nas.searching.backends import get_backend; "
        "get_backend(SearchConfig(address='127.0.0.1:1')).connected().__enter__()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"{ClusterError.__name__}: no Ray cluster answers at 127.0.0.1:1" in done.stderr
