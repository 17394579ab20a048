"""Candidates are scored on small images, and finals are trained on native ones."""

import pytest
import torch
from safetensors import safe_open

from gtn_nas import SearchConfig, load_run, search
from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.errors import NoTeacherError, TeacherError, UnknownNameError
from gtn_nas.pretraining import start
from gtn_nas.pretraining.pretraining import Pretraining
from gtn_nas.proxies.size import count_flops, count_parameters
from gtn_nas.searching import evaluation as evaluating
from gtn_nas.searching.identity import scoring_fingerprint
from gtn_nas.spaces import get_space
from gtn_nas.spaces.fingerprint import space_fingerprint
from gtn_nas.teacher.artifact import read_header

from ..edited_package import changed_by_edits
from ..photos import write_photos

NATIVE, PROXY = (3, 80, 80), (3, 64, 64)


def prepare(config, proxies):
    return evaluating.prepare(config.model_copy(update={"proxies": tuple(proxies)}))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The name of a data set of 80 by 80 pixels."""
    return write_photos(tmp_path_factory.mktemp("data") / "photos", side=80, count=8)


@pytest.fixture(scope="module")
def teacher(photos, tmp_path_factory):
    """A teacher of those images, with two batches, after one step of meta-training."""
    config = PretrainConfig(
        dataset=photos,
        inner_steps=2,
        batch_size=4,
        meta_iterations=1,
        warm_start_steps=2,
        hidden=16,
        channels=8,
        out=tmp_path_factory.mktemp("teacher") / "photos.safetensors",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "START_RATES", (0.8,))
        run = Pretraining(config)
        for _ in run.run():
            pass
        run.finish(learners=1)
    return config.out


@pytest.fixture
def config(photos, teacher, tmp_path):
    return SearchConfig(
        dataset=photos,
        teacher=str(teacher),
        candidates=1,
        top_k=1,
        final_epochs=1,
        executor="inline",
        out=tmp_path / "run",
    )


def test_a_teacher_draws_64_pixels_a_side_at_most(teacher):
    assert read_header(teacher).image_shape == PROXY


def test_what_workers_share_is_of_the_teachers_size(config):
    evaluation = prepare(config, ["gtn"])
    assert evaluation.dataset.image_shape == NATIVE
    assert evaluation.proxy_dataset.image_shape == PROXY
    assert evaluation.factory().image_shape == PROXY
    arrays = evaluation.arrays()
    for name in ("lesson_images", "calibration", "images"):
        assert arrays[name].shape[-3:] == PROXY
    assert len(arrays["images"]) == len(evaluation.dataset.validation)


def test_a_candidate_is_scored_small_and_trained_at_its_native_size(config):
    result = search(config)
    (candidate,) = result.ranking
    (final,) = result.finals
    space = get_space("conv_chain")
    small = space.build(candidate.architecture, PROXY, 2, "proxy")
    native = space.build(candidate.architecture, NATIVE, 2, "final")
    assert (candidate.flops, candidate.params) == (
        count_flops(small, PROXY),
        count_parameters(small),
    )
    assert (final.flops, final.params) == (count_flops(native, NATIVE), count_parameters(native))
    (row,) = load_run(config.out).sql("SELECT status, weights FROM finals")
    assert row["status"] == "ok"
    with safe_open(config.out / row["weights"], framework="numpy") as file:
        assert file.metadata()["image_shape"] == "3 80 80"


def test_a_teacher_of_one_size_does_not_fit_images_that_were_resized(config, teacher):
    with pytest.raises(TeacherError, match="made for images of 3x64x64, and these are 3x32x32"):
        prepare(config.model_copy(update={"image_size": 32}), ["gtn"])
    with pytest.raises(TeacherError, match="made with other images"):
        prepare(config.model_copy(update={"image_size": 72}), ["gtn"])


def test_proxies_without_a_teacher_need_none(config):
    without = config.model_copy(update={"teacher": None, "real_steps": 7})
    evaluation = prepare(without, ["real_steps", "nwot"])
    assert (evaluation.lesson, evaluation.untrained, evaluation.budget) == (None, None, 7)
    training = evaluation.arrays()["training_images"]
    assert training.shape == (len(evaluation.dataset.train), *PROXY)
    assert "training_images" not in prepare(without, ["nwot"]).arrays()
    with pytest.raises(NoTeacherError, match="no teacher that ships fits"):
        prepare(without, ["nwot", "gtn_untrained"])


def test_an_untrained_teacher_differs_in_its_images_alone(config):
    evaluation, same = (prepare(config, ["gtn", "gtn_untrained"]) for _ in range(2))
    lesson, untrained = evaluation.lesson, evaluation.untrained
    assert untrained.images.shape == lesson.images.shape
    assert not torch.equal(untrained.images, lesson.images)
    assert torch.equal(untrained.learning_rates, lesson.learning_rates)
    assert torch.equal(untrained.momenta, lesson.momenta)
    assert torch.equal(untrained.images, same.untrained.images)
    assert prepare(config, ["gtn"]).untrained is None


@pytest.mark.parametrize("change", [{"proxy_seeds": 2}, {"real_steps": 3}, {"split_seed": 1}])
def test_scores_are_comparable_only_where_settings_and_proxies_are_equal(config, change):
    ids = [
        prepare(config, ["nwot"]).id,
        prepare(config, ["nwot", "gtn"]).id,
        prepare(config.model_copy(update=change), ["nwot"]).id,
    ]
    assert len(set(ids)) == 3
    assert prepare(config, ["nwot"]).id == ids[0]


def test_what_ranks_is_decided_while_a_search_is_prepared(config):
    evaluation = prepare(config, ["nwot"])
    assert (evaluation.config.rank_by, evaluation.config.proxy_seeds) == ("jacob_cov*params", 1)
    assert str(evaluation.goals.score) == "jacob_cov*params"
    assert evaluation.proxies == ("nwot", "jacob_cov")
    assert not evaluation.wants_latency
    said = {"rank_by": "zico + latency_ms", "limits": ("synflow>=1",), "objectives": ("flops",)}
    evaluation = prepare(config.model_copy(update=said), [])
    assert evaluation.config.rank_by == "zico + latency_ms"
    assert evaluation.goals.columns == ("zico", "latency_ms", "flops", "synflow")
    assert evaluation.proxies == ("synflow", "zico")
    assert evaluation.wants_latency


def test_a_wrong_name_is_told_before_anything_is_loaded(config):
    nowhere = config.model_copy(update={"dataset": "folder:/nowhere", "objectives": ("parms",)})
    with pytest.raises(UnknownNameError, match="unknown objective 'parms'"):
        prepare(nowhere, [])


EVERY = {
    "gtn_nas.data.base",
    "gtn_nas.data.splits",
    "gtn_nas.proxies.base",
    "gtn_nas.proxies.evaluator",
    "gtn_nas.proxies.size",
    "gtn_nas.teacher.curriculum",
    "gtn_nas.teacher.generator",
    "gtn_nas.teacher.inner_loop",
    "gtn_nas.trial",
}
"""Modules that every score depends on."""
OF = {
    "gtn": {"gtn_nas.proxies.gtn"},
    "gtn_untrained": {"gtn_nas.proxies.gtn"},
    "real_steps": {"gtn_nas.proxies.gtn", "gtn_nas.proxies.real_steps"},
    "snip": {"gtn_nas.proxies.passes", "gtn_nas.proxies.zero_cost"},
}
"""Those of some proxies beside them."""


def test_an_edit_of_the_code_of_a_proxy_counts_where_it_was_asked_for(tmp_path):
    others = {"gtn_nas.searching.search", "gtn_nas.teacher.hypergradient", "gtn_nas.data.digits"}
    found = changed_by_edits(
        tmp_path,
        sorted(EVERY.union(others, *OF.values())),
        "from gtn_nas.searching.identity import scoring_fingerprint",
        f"{{name: scoring_fingerprint([name]) for name in {list(OF)}}}",
    )
    for edited, changed in found.items():
        assert changed == {n: [edited] if edited in EVERY | OF[n] else [] for n in OF}


def test_scores_depend_on_the_code_of_the_space_and_of_all_proxies(config):
    identity = prepare(config, ["gtn", "snip"]).identity
    assert identity["search space"] == space_fingerprint(get_space("conv_chain"))
    assert identity["scoring code"] == scoring_fingerprint(["gtn", "jacob_cov", "snip"])
