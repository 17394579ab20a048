"""Where the boxes and lines of a drawn network are.

Steps that follow each other in one module share a box: a convolution, its normalisation and its
rectifier. Boxes stand in layers, each below all that it reads (Sugiyama et al. 1981): lines
across several layers get places of their own in them, an order with few crossings is found by
sweeps over the layers, and boxes move towards what they are connected with.
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
"""Between boxes beside each other."""
STEP_PX = 34
"""Between a layer of boxes and the next."""
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
"""What joins several inputs, as a box shows it."""


@dataclass
class Box:
    """Steps that are drawn as one.

    Attributes:
        lines: what they are.
        inputs: numbers of the boxes that they read; a box's number is its place in the list.
        shape: of what they put out, without the batch.
        params: their parameters.
        place: name of the module that has the first of them.
        joins: whether they join several inputs.
        weighted: whether one of them has weights.
    """

    lines: list[str]
    inputs: list[int]
    shape: tuple[int, ...]
    params: int
    place: str
    joins: bool
    weighted: bool


@dataclass
class _Slot:
    """A place in a layer: a box's, or (``box`` is none) that of a line which passes."""

    layer: int
    box: int | None
    width: float
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    x: float = 0.0


def draw(steps: Sequence[Step]) -> dict[str, Any]:
    """Return boxes and lines in pixels, as plain data.

    Args:
        steps: as they follow each other; the first is the image.
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
        """Return where lines enter a slot and where they leave it."""
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
        drawn.append({"x": x, "y": y, "place": box.place, "inputs": box.inputs} | size | texts)
    # A line that passes a layer does so upright, or it would cut the corners of boxes.
    ways = [[point for number in line for point in ends(number)][1:-1] for line in lines]
    height = float(tops[-1]) - STEP_PX + 1
    return {"width": round(right - left, 1), "height": height, "boxes": drawn, "lines": ways}


def boxes_of(steps: Sequence[Step]) -> list[Box]:
    """Join steps that follow each other and belong together."""
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
            before.place = before.place or step.place
            box_of.append(box_of[step.inputs[0]])
            continue
        inputs = list(dict.fromkeys(box_of[source] for source in step.inputs))
        if joins and step.text in ("add", "iadd"):
            inputs = _flattened(boxes, steps, step, box_of, readers)
        text = SIGNS.get(step.text, step.text) if joins else step.text
        box_of.append(len(boxes))
        boxes.append(Box([text], inputs, step.shape, step.params, step.place, joins, step.weighted))
    return _without_absorbed(boxes)


def _belongs(step: Step, before: Box) -> bool:
    """Tell whether a step goes into the box before it.

    A box holds layers of one module and the operations after them, and weights only once. What
    joins inputs stays alone, so that a drawing shows where ways meet.
    """
    if before.joins or (step.weighted and before.weighted):
        return False
    parents = [place.rpartition(".")[0] for place in (step.place, before.place)]
    return not (step.place and before.place) or parents[0] == parents[1]


def _flattened(
    boxes: list[Box],
    steps: Sequence[Step],
    step: Step,
    box_of: Sequence[int],
    readers: Mapping[int, set[int]],
) -> list[int]:
    """Return the inputs of a sum, with those of sums that only it reads in their place."""
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
    """Return a slot for each box and each crossing of a layer, and each line as its slots."""
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
    """Return the slots of each layer from left to right, with few crossings of lines."""
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
    """Move slots towards what they are connected with, as near as those beside them allow."""
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
            # Least squares under distances that are kept: shifted by them, an isotonic regression.
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
