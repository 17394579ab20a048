import pickle
import random
import sys

import pytest
import torch

from gtn_nas.errors import ConfigError, UnknownNameError
from gtn_nas.results.query import load_run
from gtn_nas.results.store import RunStore
from gtn_nas.spaces import get_space
from gtn_nas.spaces.fingerprint import space_fingerprint
from gtn_nas.trial import Record, Status, Trial

from ..user_spaces import write_space

CONV_CHAIN = get_space("conv_chain")
FACTS = {
    "search space": space_fingerprint(CONV_CHAIN),
    "image_shape": [3, 100, 90],
    "proxy_image_shape": [3, 32, 32],
    "classes": ["cat", "dog"],
}


def stored(folder, space=CONV_CHAIN, setting="conv_chain", facts=FACTS):
    """An architecture of a run."""
    architecture = space.sample(random.Random(0))
    with RunStore.create(folder, f"space: {setting}\n") as store:
        store.append_event("start", details=facts)
        store.append_candidates([Record.of(Trial(architecture, 32, 0), Status.OK)])
    return load_run(folder).architecture(architecture.key)


def sizes(network):
    return [tuple(p.shape) for p in network.parameters()]


def test_a_network_is_built_for_the_images_of_its_run(tmp_path):
    architecture = stored(tmp_path / "run")
    network = architecture.build()
    assert network(torch.zeros(2, 3, 100, 90)).shape == (2, 2)
    assert sizes(network) == sizes(CONV_CHAIN.build(architecture, (3, 100, 90), 2, "final"))
    proxy = architecture.build(scale="proxy")
    assert sizes(proxy) == sizes(CONV_CHAIN.build(architecture, (3, 32, 32), 2, "proxy"))
    other = architecture.build(input_shape=(1, 8, 8), num_classes=5)
    assert other(torch.zeros(2, 1, 8, 8)).shape == (2, 5)


def test_it_is_equal_to_what_was_evaluated_and_travels(tmp_path):
    architecture = stored(tmp_path / "run")
    again = pickle.loads(pickle.dumps(architecture))  # noqa: S301 - our own
    assert again == architecture == CONV_CHAIN.architecture(architecture.choices)
    assert again.facts == FACTS


def test_a_users_module_is_imported_only_when_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = write_space(tmp_path, "stored_space", "relu", "tanh")
    space = get_space(spec)
    noted = {**space_fingerprint(space), "stored_space": "0" * 16}
    architecture = stored(tmp_path / "run", space, spec, {**FACTS, "search space": noted})
    del sys.modules["stored_space"]
    with pytest.raises(ConfigError, match=rf"is the module '{spec}'.*build\(space='{spec}'\)"):
        architecture.build()
    with pytest.raises(ConfigError, match=r"is of the search space .*, not conv_chain"):
        architecture.build("conv_chain")
    with pytest.raises(UnknownNameError, match="unknown search space"):
        architecture.build("conv_chian")
    assert "stored_space" not in sys.modules
    with pytest.warns(UserWarning, match=r"changed since the run started \(stored_space\)"):
        architecture.build(spec)


@pytest.mark.filterwarnings("error")
def test_what_earlier_versions_noted_of_a_space_warns_of_nothing(tmp_path):
    facts = {**FACTS, "search space": "b81ba7132a379744"}
    assert sizes(stored(tmp_path / "run", facts=facts).build())


@pytest.mark.parametrize("facts", [{}, {**FACTS, "image_shape": "x"}, {**FACTS, "classes": []}])
def test_a_run_that_did_not_note_its_images_says_what_to_give(tmp_path, facts):
    with pytest.raises(ConfigError, match=r"build\(input_shape=\(1, 28, 28\), num_classes=10\)"):
        stored(tmp_path / "run", facts=facts).build()
