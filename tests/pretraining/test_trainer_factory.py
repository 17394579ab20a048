import pytest

from gtn_nas.config.pretrain import PretrainConfig
from gtn_nas.errors import ConfigError
from gtn_nas.pretraining.trainer_factory import meta_config, teacher_sizes

from ..photos import make_dataset


def sizes(image_shape=(1, 8, 8), classes=2, **values):
    dataset = make_dataset(image_shape, classes, per_class=3)
    return teacher_sizes(PretrainConfig(**values), dataset)


@pytest.mark.parametrize(
    ("classes", "batch_size"), [(2, 128), (64, 128), (65, 130), (100, 200), (1000, 2000)]
)
def test_a_batch_shows_each_class_twice_and_has_128_images_at_least(classes, batch_size):
    assert sizes(classes=classes).batch_size == batch_size


@pytest.mark.parametrize(
    ("image_shape", "channels"),
    [((1, 8, 8), 64), ((3, 32, 32), 64), ((3, 33, 33), 32), ((1, 8, 40), 32), ((3, 64, 64), 32)],
    ids=str,
)
def test_larger_images_have_fewer_channels(image_shape, channels):
    assert sizes(image_shape).channels == channels


def test_what_is_asked_for_is_taken():
    image_shape = (3, 64, 48)
    found = sizes(image_shape, 70, batch_size=70, channels=64, curriculum="none", inner_steps=5)
    assert (found.batch_size, found.channels, found.curriculum) == (70, 64, "none")
    assert (found.image_shape, found.num_classes, found.inner_steps) == (image_shape, 70, 5)


def test_a_teacher_that_goes_on_takes_smaller_steps(tmp_path):
    assert meta_config(PretrainConfig()).rate_scale == 1
    assert meta_config(PretrainConfig(start=tmp_path / "teacher.safetensors")).rate_scale < 0.5


def test_learners_that_are_ranked_come_in_twos_at_least(tmp_path):
    assert meta_config(PretrainConfig()).ranking_weight == 0
    assert meta_config(PretrainConfig(rank_weight=0.3)).ranking_weight == 0
    ranked = PretrainConfig(
        rank_labels=tmp_path, rank_weight=0.3, rank_sharpness=20, real_images=512
    )
    found = meta_config(ranked)
    assert (found.ranking_weight, found.ranking_sharpness) == (0.3, 20)
    assert (found.learners_per_step, found.real_batch_size) == (2, 512)
    assert meta_config(ranked.model_copy(update={"workers": 4})).learners_per_step == 4
    alone = ranked.model_copy(update={"learners_per_step": 1})
    with pytest.raises(ConfigError, match="compares the learners of a step; give it 2 or more"):
        meta_config(alone)
    assert meta_config(alone.model_copy(update={"rank_weight": 0.0})).learners_per_step == 1


def test_a_batch_smaller_than_the_classes_is_refused():
    assert sizes(classes=3, batch_size=3).batch_size == 3
    with pytest.raises(ConfigError, match="--batch-size 2 is smaller than the 3 classes of photos"):
        sizes(classes=3, batch_size=2, dataset="photos")
