import random
from itertools import combinations

import pytest

from gtn_nas.report.drawing import boxes_of, draw
from gtn_nas.report.tracing import Step, trace
from gtn_nas.spaces import SPACES, get_space

SHAPE = (3, 16, 16)


def chain(*texts: str, weighted: str = "conv") -> list[Step]:
    return [
        Step(text, [i - 1] if i else [], (1,), weighted=text == weighted)
        for i, text in enumerate(texts)
    ]


def overlap(a: dict, b: dict) -> bool:
    apart = abs(a["x"] - b["x"]) >= (a["width"] + b["width"]) / 2
    return not apart and a["y"] < b["y"] + b["height"] and b["y"] < a["y"] + a["height"]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("seed", range(3))
def test_boxes_lie_inside_below_what_they_read_and_apart(name, seed):
    space = get_space(name)
    network = space.build(space.sample(random.Random(seed)), SHAPE, 10, "proxy")
    drawing = draw(trace(network, SHAPE))
    boxes = drawing["boxes"]
    assert sum(box["params"] for box in boxes) == sum(p.numel() for p in network.parameters())
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    for box in boxes:
        assert box["x"] - box["width"] / 2 >= 0
        assert box["x"] + box["width"] / 2 <= drawing["width"]
        assert box["y"] + box["height"] <= drawing["height"]
        assert all(boxes[source]["y"] < box["y"] for source in box["inputs"])
    assert len(drawing["lines"]) == sum(len(box["inputs"]) for box in boxes)


def test_a_box_holds_weights_once():
    boxes = boxes_of(chain("image", "relu", "conv", "norm", "conv", "norm"))
    assert [box.lines for box in boxes] == [["image"], ["relu", "conv", "norm"], ["conv", "norm"]]


def test_a_way_that_forks_starts_boxes_of_its_own():
    steps = [
        Step("image", [], (1,)),
        Step("conv", [0], (1,), weighted=True),
        Step("relu", [1], (1,)),
        Step("add", [1, 2], (1,)),
    ]
    assert [(box.lines, box.inputs) for box in boxes_of(steps)] == [
        (["image"], []),
        (["conv"], [0]),
        (["relu"], [1]),
        (["+"], [1, 2]),
    ]


def test_a_sum_of_sums_is_one():
    steps = [
        Step("image", [], (1,)),
        *(Step("conv", [0], (1,), weighted=True) for _ in range(3)),
        Step("add", [1, 2], (1,)),
        Step("add", [4, 3], (1,)),
    ]
    boxes = boxes_of(steps)
    assert boxes[-1].inputs == [1, 2, 3]
    assert sum(box.lines == ["+"] for box in boxes) == 1


def test_an_image_alone_can_be_drawn():
    assert len(draw(chain("image"))["boxes"]) == 1
