import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st

from gtn_nas.teacher.ranking_term import ranking_derivatives, ranking_loss

learners = st.lists(st.tuples(st.floats(0, 50), st.sampled_from([0.1, 0.5, 0.9])), max_size=6)


def by_torch(losses, truths, sharpness):
    """Return the term and its derivatives as autograd computes them."""
    tensor = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    terms = [
        -F.logsigmoid(sharpness * (tensor[worse] - tensor[better]))
        for better in range(len(losses))
        for worse in range(len(losses))
        if truths[better] > truths[worse]
    ]
    total = torch.stack(terms).mean()
    return total.item(), torch.autograd.grad(total, tensor)[0].tolist()


def test_two_learners_in_the_right_order_cost_little_and_in_the_wrong_one_much():
    right, wrong = (ranking_loss(losses, [0.9, 0.5], 8.0) for losses in ([0.1, 1.1], [1.1, 0.1]))
    assert right == pytest.approx(math.log1p(math.exp(-8)))
    assert wrong == pytest.approx(right + 8)


def test_the_truly_better_one_is_pushed_down_and_the_other_up():
    better, worse = ranking_derivatives([0.7, 0.7], [0.9, 0.5], 8.0)
    assert (better, worse) == (4.0, -4.0)


@given(learners)
@example([(3.25, 0.5), (0.5, 0.1)])
def test_derivatives_are_those_of_the_loss(found):
    losses, truths = [loss for loss, _ in found], [truth for _, truth in found]
    if len(set(truths)) < 2:
        assert ranking_loss(losses, truths, 8.0) == 0
        assert ranking_derivatives(losses, truths, 8.0) == [0] * len(losses)
        return
    term, derivatives = by_torch(losses, truths, 8.0)
    assert ranking_loss(losses, truths, 8.0) == pytest.approx(term)
    assert ranking_derivatives(losses, truths, 8.0) == pytest.approx(derivatives, abs=1e-9)
