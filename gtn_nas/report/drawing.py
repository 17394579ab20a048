"""Lay out a drawing of a network: compute the positions of its boxes and lines.

Consecutive steps of one module share a box, e.g. a convolution, its normalisation and its ReLU.
The layout follows Sugiyama et al. 1981. Boxes are put in layers, each box below all boxes that it
reads. A line across several layers gets a slot in each layer that it crosses. Sweeps over the
layers find an order of slots with few crossings of lines. Then boxes are moved towards the boxes
that they are connected with.

"Layer" means a row of the drawing in this module.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from gtn_nas.report.tracing import TIMES, Step

CHARACTER_PX = 6.7
LINE_PX = 15
PADDING_PX = 8
GAP_PX = 22
"""Distance between neighbouring boxes of a layer."""
STEP_PX = 34
"""Distance between a layer and the next."""
SWEEPS = 8

Point = tuple[float, float]
"""Pixels from the left and from the top."""

SIGNS: Mapping[str, str] = {
    "add": "+",
    "iadd": "+",
    "radd": "+",
    "cat": "concatenate",
    "mul": TIMES,
}
"""The text in a box for each operation that joins several inputs."""


@dataclass
class Box:
    """Consecutive steps of a network that are drawn as one box.

    Attributes:
        lines: a text for each step.
        inputs: indices of the boxes that this one reads.
        shape: shape of the output, without the batch.
        params: number of parameters of all steps.
        module: name of the first step's module inside the network.
        joins: whether the box joins several inputs.
        weighted: whether one of the steps has weights.
    """

    lines: list[str]
    inputs: list[int]
    shape: tuple[int, ...]
    params: int
    module: str
    joins: bool
    weighted: bool


@dataclass
class _Slot:
    """A position in a layer for a box, or for a line that crosses the layer.

    Attributes:
        layer: index of the layer.
        box: index of the box; ``None`` for a line.
        width: width in pixels.
        above: indices of the connected slots in the layer above.
        below: indices of the connected slots in the layer below.
        x: centre in pixels.
    """

    layer: int
    box: int | None
    width: float
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    x: float = 0.0


def draw(steps: Sequence[Step]) -> dict[str, Any]:
    """Return the boxes and lines of a drawing as JSON values, with positions in pixels.

    Args:
        steps: the network's steps in the order in which they ran; the first is the image.
    """
    boxes = boxes_of(steps)
    slots, lines = _slots(boxes)
    layers = _ordered(slots)
    _spread(slots, layers)
    heights = [_layer_height(boxes, slots, layer) for layer in layers]
    tops = np.cumsum([1.0, *(height + STEP_PX for height in heights)])
    left = min(slot.x - slot.width / 2 for slot in slots) - PADDING_PX
    right = max(slot.x + slot.width / 2 for slot in slots) + PADDING_PX

    def ends(number: int) -> tuple[Point, Point]:
        """Return the points at which lines enter and leave a slot."""
        slot = slots[number]
        whole = heights[slot.layer]
        height = whole if slot.box is None else _height(boxes[slot.box])
        x, top = round(slot.x - left, 1), float(tops[slot.layer]) + (whole - height) / 2
        return (x, round(top, 1)), (x, round(top + height, 1))

    drawn = []
    for number, box in enumerate(boxes):
        (x, y), _ = ends(number)
        size = {"width": round(_width(box), 1), "height": _height(box)}
        texts = {"lines": box.lines, "shape": _shape(box.shape), "params": box.params}
        drawn.append({"x": x, "y": y, "place": box.module, "inputs": box.inputs} | size | texts)
    # A line crosses a layer vertically; otherwise it would cut the corners of boxes.
    ways = [[point for number in line for point in ends(number)][1:-1] for line in lines]
    height = float(tops[-1]) - STEP_PX + 1
    return {"width": round(right - left, 1), "height": height, "boxes": drawn, "lines": ways}


def boxes_of(steps: Sequence[Step]) -> list[Box]:
    """Group consecutive steps that belong together into boxes."""
    readers = defaultdict(set)
    for place, step in enumerate(steps):
        for source in step.inputs:
            readers[source].add(place)
    boxes: list[Box] = []
    box_of: list[int] = []
    for step in steps:
        joins = len(step.inputs) > 1
        before = boxes[box_of[step.inputs[0]]] if len(step.inputs) == 1 else None
        alone = before is not None and len(readers[step.inputs[0]]) == 1 and before.inputs
        if before is not None and alone and _belongs(step, before):
            before.lines.append(step.text)
            before.shape, before.params = step.shape, before.params + step.params
            before.weighted |= step.weighted
            before.module = before.module or step.module
            box_of.append(box_of[step.inputs[0]])
            continue
        inputs = list(dict.fromkeys(box_of[source] for source in step.inputs))
        if joins and step.text in ("add", "iadd"):
            inputs = _flattened(boxes, steps, step, box_of, readers)
        text = SIGNS.get(step.text, step.text) if joins else step.text
        box_of.append(len(boxes))
        boxes.append(
            Box([text], inputs, step.shape, step.params, step.module, joins, step.weighted)
        )
    return _without_absorbed(boxes)


def _belongs(step: Step, before: Box) -> bool:
    """Tell whether a step is added to the box before it.

    A box holds layers of one module and the operations after them, and at most one layer with
    weights. A step that joins inputs has a box of its own, so that the drawing shows where paths
    meet.
    """
    if before.joins or (step.weighted and before.weighted):
        return False
    parents = [name.rpartition(".")[0] for name in (step.module, before.module)]
    return not (step.module and before.module) or parents[0] == parents[1]


def _flattened(
    boxes: list[Box],
    steps: Sequence[Step],
    step: Step,
    box_of: Sequence[int],
    readers: Mapping[int, set[int]],
) -> list[int]:
    """Return the inputs of a sum; an input that is itself a sum is replaced by its own inputs.

    This is done only for sums that no other step reads. Their boxes get no lines, and
    ``_without_absorbed`` removes them.
    """
    inputs: list[int] = []
    for source in step.inputs:
        box = boxes[box_of[source]]
        if box.lines == ["+"] and len(readers[source]) == 1:
            inputs += box.inputs
            box.lines = []
        else:
            inputs.append(box_of[source])
    return list(dict.fromkeys(inputs))


def _without_absorbed(boxes: Sequence[Box]) -> list[Box]:
    kept = [number for number, box in enumerate(boxes) if box.lines]
    new = {old: number for number, old in enumerate(kept)}
    for old in kept:
        boxes[old].inputs = [new[source] for source in boxes[old].inputs]
    return [boxes[old] for old in kept]


def _slots(boxes: Sequence[Box]) -> tuple[list[_Slot], list[list[int]]]:
    """Put boxes into layers.

    Returns:
        A slot for each box, followed by the slots for lines that cross a layer; and for each line
        the indices of its slots, from top to bottom.
    """
    layer_of: list[int] = []
    for box in boxes:
        layer_of.append(1 + max((layer_of[source] for source in box.inputs), default=-1))
    slots = [_Slot(layer_of[number], number, _width(box)) for number, box in enumerate(boxes)]
    lines = []
    for number, box in enumerate(boxes):
        for source in box.inputs:
            line = [source]
            for layer in range(layer_of[source] + 1, layer_of[number]):
                line.append(len(slots))
                slots.append(_Slot(layer, None, 2.0))
            line.append(number)
            for upper, lower in itertools.pairwise(line):
                slots[upper].below.append(lower)
                slots[lower].above.append(upper)
            lines.append(line)
    return slots, lines


def _ordered(slots: Sequence[_Slot]) -> list[list[int]]:
    """Return the indices of each layer's slots from left to right, with few crossings of lines."""
    layers: list[list[int]] = [[] for _ in range(1 + max(slot.layer for slot in slots))]
    for number, slot in enumerate(slots):
        layers[slot.layer].append(number)
    place = {number: i for layer in layers for i, number in enumerate(layer)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            centre = {n: _mean(place, slots[n].above if down else slots[n].below, n) for n in layer}
            layer.sort(key=centre.__getitem__)
            place.update({number: i for i, number in enumerate(layer)})
    return layers


def _mean(place: Mapping[int, float], numbers: Sequence[int], own: int) -> float:
    return sum(place[n] for n in numbers) / len(numbers) if numbers else place[own]


def _spread(slots: Sequence[_Slot], layers: Sequence[Sequence[int]]) -> None:
    """Set ``x`` of all slots: near the slots they are connected with, and without overlaps."""
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = []
            for number in layer:
                slot = slots[number]
                beside = slot.above if down else slot.below
                xs = [slots[n].x for n in beside]
                wanted.append(sum(xs) / len(xs) if xs else slot.x)
            widths = [slots[number].width for number in layer]
            apart = [0.0] + [(a + b) / 2 + GAP_PX for a, b in itertools.pairwise(widths)]
            offsets = np.cumsum(apart)
            # Find the positions nearest to the wanted ones (least squares) that keep the minimum
            # distances. After subtracting the offsets, this is an isotonic regression.
            placed = isotonic_regression(np.array(wanted) - offsets).x + offsets
            for number, x in zip(layer, placed, strict=True):
                slots[number].x = float(x)


def _layer_height(boxes: Sequence[Box], slots: Sequence[_Slot], layer: Sequence[int]) -> float:
    found = [box for number in layer if (box := slots[number].box) is not None]
    return max((_height(boxes[box]) for box in found), default=0.0)


def _width(box: Box) -> float:
    texts = [*box.lines, "" if box.joins else f"{_shape(box.shape)} · {box.params:,}"]
    return max(28.0, max(map(len, texts)) * CHARACTER_PX + 2 * PADDING_PX)


def _height(box: Box) -> float:
    lines = len(box.lines) + (0 if box.joins else 1)
    return lines * LINE_PX + 2 * PADDING_PX - 4


def _shape(shape: Sequence[int]) -> str:
    return f" {TIMES} ".join(map(str, shape))
