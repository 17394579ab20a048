from dataclasses import replace

import pytest

from gtn_nas.proxies.base import seed_of
from gtn_nas.proxies.gtn import GtnProxy
from gtn_nas.proxies.gtn_untrained import UntrainedProxy

from .candidates import run, trial


def test_seeds_are_averaged_over(lesson, data):
    candidate = trial(seed=4)
    singles = [
        run(UntrainedProxy(lesson), replace(candidate, seed=seed_of(candidate, i)), data)
        for i in range(3)
    ]
    means = {name: sum(s[name] for s in singles) / 3 for name in singles[0]}
    assert run(UntrainedProxy(lesson, seeds=3), candidate, data) == pytest.approx(means)
    assert len({s["untrained_loss"] for s in singles}) == 3


def test_an_untrained_teacher_gives_the_scores_of_its_lesson_by_other_names(lesson, data):
    same = run(GtnProxy(lesson), trial(budget=5), data)
    assert run(UntrainedProxy(lesson), trial(budget=5), data) == {
        "untrained_accuracy": same["proxy_accuracy"],
        "untrained_loss": same["proxy_loss"],
    }


def test_a_candidate_that_an_untrained_teacher_upsets_has_no_score(make_lesson, data):
    with pytest.raises(FloatingPointError, match="parameters became non-finite"):
        run(UntrainedProxy(make_lesson(1e38)), trial(), data)
