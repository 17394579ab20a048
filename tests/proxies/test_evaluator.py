import hashlib
import json
import math
import pickle
import random
import re
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

from gtn_nas.proxies.base import ProxySettings
from gtn_nas.proxies.catalogue import EVALUATED, PROXIES, SIZES, TIMES, columns_of
from gtn_nas.proxies.evaluator import Evaluator, shared_arrays
from gtn_nas.proxies.gtn import GtnProxy
from gtn_nas.proxies.size import count_depth, count_flops, count_parameters
from gtn_nas.proxies.zero_cost import IMAGES, zero_cost_scores
from gtn_nas.ranking.columns import value_of
from gtn_nas.spaces.base import SearchSpace
from gtn_nas.teacher.curriculum import Teacher, TeacherConfig, cosine
from gtn_nas.trial import Status

from .candidates import CLASSES, SHAPE, SPACE, STEPS, architecture, build, run, trial

EVALUATOR = Evaluator(SPACE, SHAPE, CLASSES)
COLUMNS = [*columns_of(EVALUATED), *SIZES]
ZERO_COST = [name for name in EVALUATED if not PROXIES[name].trains]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class InPlace(SearchSpace):
    """Networks whose first layer overwrites its input."""

    name = "in_place"
    choices = MappingProxyType({"slope": (0.1, 0.2)})

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        rectifier = nn.LeakyReLU(architecture.choices["slope"], inplace=True)
        return nn.Sequential(rectifier, nn.Flatten(), nn.Linear(64, num_classes))


def read_only(arrays):
    """As executors hand them out: pages that every worker maps."""
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


@pytest.fixture(scope="module")
def arrays(lesson, data):
    return shared_arrays(data, lesson)


@pytest.fixture
def evaluate(arrays):
    return EVALUATOR(arrays)


def candidates(count):
    rng = random.Random(0)
    return [trial(SPACE.sample(rng), budget=4, seed=seed) for seed in range(count)]


def without_times(record):
    scores = {name: value for name, value in record.extra.items() if name not in TIMES}
    return replace(record, train_s=None, eval_s=None, created_at=datetime.min, extra=scores)


def digest(arrays):
    return {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}


def test_the_shared_arrays_are_all_that_a_worker_needs(arrays, lesson, data):
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "lesson_images": "float32",
        "lesson_labels": "int64",
        "lesson_learning_rates": "float32",
        "lesson_momenta": "float32",
        "calibration": "float32",
        "calibration_labels": "int64",
        "images": "float32",
        "labels": "int64",
    }
    assert np.array_equal(arrays["lesson_images"], lesson.images.numpy())
    assert np.array_equal(arrays["labels"], data.labels.numpy())


def test_the_lesson_of_a_teacher_can_be_shared(data):
    torch.manual_seed(0)
    sizes = TeacherConfig(SHAPE, CLASSES, inner_steps=2, batch_size=8, hidden=16, channels=8)
    lesson = Teacher(sizes).lesson()
    assert lesson.images.requires_grad
    assert EVALUATOR(shared_arrays(data, lesson))(trial(budget=2)).status is Status.OK


def test_a_record_holds_the_proxy_s_scores_and_the_network_s_size(evaluate, lesson, data):
    candidate = replace(trial(), ask_index=3, parent_key="p", evaluation_id="e")
    record = evaluate(candidate)
    assert record.status is Status.OK
    assert record.error is None
    scores = {name: value_of(record, name) for name in columns_of(["gtn"])}
    assert scores == pytest.approx(run(GtnProxy(lesson), candidate, data), rel=0.02)
    network = build(candidate)
    assert record.params == count_parameters(network)
    assert record.flops == count_flops(network, SHAPE)
    assert record.depth == count_depth(network, SHAPE)
    assert record.architecture == candidate.architecture
    assert (record.ask_index, record.parent_key, record.evaluation_id) == (3, "p", "e")


def test_a_record_holds_what_equality_depends_on(evaluate):
    record = evaluate(trial(seed=8, budget=2))
    assert (record.seed, record.budget, record.device) == (8, 2, DEVICE)
    assert record.threads == torch.get_num_threads()
    assert record.torch_version == torch.__version__


def test_a_score_depends_on_the_seed_and_not_on_what_was_evaluated_before(arrays):
    trials = candidates(6)
    in_order, backwards = EVALUATOR(arrays), EVALUATOR(arrays)
    records = [in_order(candidate) for candidate in trials]
    torch.manual_seed(99)
    again = [backwards(candidate) for candidate in reversed(trials)]
    assert list(map(without_times, again[::-1])) == list(map(without_times, records))
    assert without_times(in_order(trials[0])) == without_times(records[0])
    other = in_order(replace(trials[0], seed=1234))
    assert other.proxy_loss != records[0].proxy_loss


def test_a_candidate_that_diverged_leaves_no_trace_in_the_next_one(evaluate, arrays, make_lesson):
    rates = arrays["lesson_learning_rates"].copy()
    rates[8:] = 1e38
    steep = EVALUATOR(arrays | {"lesson_learning_rates": rates})
    before = steep(trial(budget=4))
    assert steep(trial(budget=STEPS)).status is Status.DIVERGED
    assert without_times(steep(trial(budget=4))) == without_times(before)
    assert before.proxy_loss == evaluate(trial(budget=4)).proxy_loss


def test_shared_arrays_are_never_written(lesson, data):
    arrays = read_only(shared_arrays(data, lesson))
    before = digest(arrays)
    evaluate = EVALUATOR(arrays)
    assert {evaluate(candidate).status for candidate in candidates(3)} == {Status.OK}
    assert digest(arrays) == before


def test_a_candidate_that_writes_on_its_images_spoils_nothing(arrays):
    evaluate = Evaluator(InPlace(), SHAPE, CLASSES)(arrays)
    candidate = trial(InPlace().architecture({"slope": 0.1}))
    before = evaluate(candidate)
    assert before.status is Status.OK
    assert without_times(evaluate(candidate)) == without_times(before)


@pytest.mark.parametrize("budget", [1, 5])
def test_a_smaller_budget_takes_the_first_steps(arrays, lesson, data, evaluate, budget):
    short = EVALUATOR(shared_arrays(data, lesson.first(budget)))
    candidate = trial(budget=budget)
    assert without_times(evaluate(candidate)) == without_times(short(candidate))


def test_a_budget_beyond_the_lesson_is_an_error(evaluate):
    with pytest.raises(ValueError, match=f"but the lesson has {STEPS}"):
        evaluate(trial(budget=STEPS + 1))


@pytest.mark.parametrize("norm", SPACE.choices["norm"])
def test_a_diverging_candidate_is_recorded_with_the_reason(make_lesson, data, norm):
    candidate = trial(architecture(norm=norm))
    record = EVALUATOR(shared_arrays(data, make_lesson(1e38)))(candidate)
    assert record.status is Status.DIVERGED
    assert record.error == "parameters became non-finite"
    assert (record.proxy_accuracy, record.proxy_loss) == (None, None)
    assert record.params == count_parameters(build(candidate))


def test_the_evaluator_travels_to_a_worker(evaluate, arrays):
    there = pickle.loads(pickle.dumps(EVALUATOR))(arrays)  # noqa: S301  # our own bytes
    assert without_times(there(trial())) == without_times(evaluate(trial()))


# several proxies


SETTINGS = ProxySettings(real_steps=3, mean=(0.3,), std=(0.4,))


class Smooth(SearchSpace):
    """Networks without a rectifier, twice as wide where they are final."""

    name = "smooth"
    choices = MappingProxyType({"width": (8, 16)})

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        width = architecture.choices["width"] * (2 if scale == "final" else 1)
        first, last = nn.Linear(64, width), nn.Linear(width, num_classes)
        return nn.Sequential(nn.Flatten(), first, nn.Tanh(), last)


@pytest.fixture(scope="module")
def shared(lesson, data, digits):
    """What workers share, for all proxies."""
    training = digits.train.images[:256], digits.train.labels[:256]
    return read_only(shared_arrays(data, lesson, lesson, training))


def evaluator(*proxies, space=SPACE, **settings):
    return Evaluator(space, SHAPE, CLASSES, proxies, replace(SETTINGS, **settings))


def scores_of(record):
    return {name: value_of(record, name) for name in COLUMNS}


def test_many_proxies_score_in_one_visit_what_they_score_alone(shared):
    candidate = trial(budget=4)
    record = evaluator(*EVALUATED)(shared)(candidate)
    assert (record.status, record.error, record.proxy_errors) == (Status.OK, None, None)
    together = scores_of(record)
    assert all(math.isfinite(value) for value in together.values())
    for name in EVALUATED:
        alone = scores_of(evaluator(name)(shared)(candidate))
        assert {n: v for n, v in alone.items() if v is not None}.items() <= together.items()
    times = {f"{name}_s" for name in ("gtn", "gtn_untrained", "real_steps", "zero_cost")}
    assert record.extra.keys() == {*COLUMNS, *times} - set(vars(record))
    assert record.train_s + record.eval_s == pytest.approx(sum(record.extra[n] for n in times))


def test_step_sizes_of_each_step_teach_as_those_that_fall_by_themselves(shared):
    rates, steps = tuple((0.2 * cosine(5)).tolist()), {"real_steps": 5}
    alike = evaluator("real_steps", real_learning_rate=0.2, real_momentum=0.5, **steps)
    each = evaluator("real_steps", real_learning_rate=rates, real_momentum=(0.5,) * 5, **steps)
    assert scores_of(each(shared)(trial())) == scores_of(alike(shared)(trial()))


@pytest.mark.parametrize("order", [1, -1])
def test_a_proxy_that_diverges_leaves_a_reason_and_the_others_their_scores(shared, order):
    names = ["gtn", "real_steps", "synflow"][::order]
    record = evaluator(*names, real_learning_rate=1e38)(shared)(trial(budget=4))
    assert (record.status, record.error) == (Status.OK, None)
    reasons = json.loads(record.proxy_errors)
    assert reasons == dict.fromkeys(columns_of(["real_steps"]), "parameters became non-finite")
    scores = scores_of(record)
    assert {n for n, v in scores.items() if v is not None} == {
        *columns_of(["gtn"]),
        "synflow",
        "params",
        "flops",
        "depth",
    }
    without = evaluator("gtn", "synflow")(shared)(trial(budget=4))
    assert scores == scores_of(without)


def test_a_zero_cost_proxy_that_is_not_defined_leaves_a_reason(shared):
    space = Smooth()
    candidate = trial(space.architecture({"width": 8}), budget=4)
    record = evaluator("gtn", *ZERO_COST, space=space)(shared)(candidate)
    assert record.status is Status.OK
    assert json.loads(record.proxy_errors) == {"nwot": "the network has no rectifier"}
    scores = scores_of(record)
    assert {n for n in (*ZERO_COST, *columns_of(["gtn"])) if scores[n] is None} == {"nwot"}


def test_a_candidate_without_any_score_says_why(shared):
    space = Smooth()
    candidate = trial(space.architecture({"width": 8}), budget=4)
    names = ["real_steps", "nwot"]
    record = evaluator(*names, space=space, real_learning_rate=1e38)(shared)(candidate)
    assert record.status is Status.DIVERGED
    diverged = "parameters became non-finite|the loss on validation images is not finite"
    assert re.fullmatch(f"({diverged}); the network has no rectifier", record.error)
    assert record.depth == 2


@pytest.mark.parametrize(("scale", "width"), [("proxy", 8), ("final", 16)])
def test_zero_cost_proxies_look_at_the_network_of_their_scale(shared, data, scale, width):
    space = Smooth()
    candidate = trial(space.architecture({"width": 8}), budget=4, seed=3)
    record = evaluator("gtn", *ZERO_COST, space=space, zero_cost_scale=scale)(shared)(candidate)

    def build():
        torch.manual_seed(3)
        return space.build(space.architecture({"width": width}), SHAPE, CLASSES).to(DEVICE)

    images, labels = data.calibration[:IMAGES], data.calibration_labels[:IMAGES]
    expected = zero_cost_scores(build, images.to(DEVICE), labels.to(DEVICE)).columns
    assert {name: record.extra[name] for name in expected} == expected
    assert record.params == 65 * 8 + 9 * CLASSES


def test_without_proxies_a_candidate_has_its_sizes(shared):
    record = evaluator()(shared)(trial())
    assert (record.status, record.proxy_errors) == (Status.OK, None)
    assert {n for n, v in scores_of(record).items() if v is not None} == {
        "params",
        "flops",
        "depth",
    }


def test_scores_of_trained_candidates_are_means_over_seeds(shared):
    one, two = (evaluator(*EVALUATED, seeds=seeds)(shared)(trial(budget=4)) for seeds in (1, 2))
    changed = {n for n in COLUMNS if value_of(one, n) != value_of(two, n)}
    assert changed == set(COLUMNS) - {*ZERO_COST, "params", "flops", "depth"}


@pytest.mark.parametrize("asked", [["gtn"], ["gtn", "gtn_improvement"]])
def test_what_was_not_asked_for_is_no_failure(shared, asked):
    rates = np.full_like(shared["lesson_learning_rates"], 1e38)
    record = evaluator(*asked, "synflow")(shared | {"lesson_learning_rates": rates})(trial())
    columns = set(columns_of(asked))
    assert json.loads(record.proxy_errors).keys() == columns
