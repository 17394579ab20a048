import pytest
import torch

from gtn_nas.data import load_dataset
from gtn_nas.pretraining.calibration import Examiner, calibrate
from gtn_nas.spaces import get_space
from gtn_nas.teacher.curriculum import RealData


@pytest.mark.parametrize(
    ("rate", "scales"), [(0.005, {4.0}), (4.0, {0.85, 0.7, 0.6, 0.5})], ids=["too low", "too high"]
)
def test_rates_are_scaled_to_what_suits_most_learners(rate, scales):
    digits = load_dataset("digits")
    lessons = RealData(digits.normalise(digits.train.images), digits.train.labels, 8, 32)
    lessons.step_sizes.start_at(rate)
    before = lessons.step_sizes.log_rate.detach().exp()

    @torch.no_grad()
    def lesson_for(seed):
        return lessons.lesson(torch.Generator().manual_seed(seed))

    examiner = Examiner(get_space("conv_chain"), digits, torch.device("cpu"), seed=0)
    scale = calibrate(lessons.step_sizes, lesson_for, examiner, learners=8)
    assert scale in scales
    # Rates are kept as logarithms of 16 bits.
    torch.testing.assert_close(lessons.step_sizes()[0], before * scale, rtol=5e-3, atol=0)
