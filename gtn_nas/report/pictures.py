"""The parts of a report that need torch: drawings of architectures and the teacher's lesson."""

from __future__ import annotations

from typing import Any

from gtn_nas.architecture import Architecture
from gtn_nas.errors import GtnNasError, one_line
from gtn_nas.report.snapshot import Snapshot, mapping, number
from gtn_nas.spaces import get_space

PROXY_SIDE = 64
"""Largest height or width in pixels of the images that proxies use."""

DRAWN = 5
"""Most architectures that are drawn."""

Picture = dict[str, Any]


class Pictures:
    """Makes drawings and lessons, and keeps them for the next report on the same run.

    Args:
        space: the user's own search space that may be imported, ``module:Class``.
        teacher: the teacher that the user named; see ``lesson.find_teacher``.
    """

    def __init__(self, space: str | None = None, teacher: str | None = None) -> None:
        self.space, self.teacher = space, teacher
        self._drawings: dict[tuple[object, ...], Picture] = {}
        self._lessons: dict[str, Picture] = {}

    def architectures(self, snapshot: Snapshot) -> Picture:
        """Return drawings of the best full trainings, then of the best candidates.

        If there are none, the entry ``missing`` says why.
        """
        finals = {final["key"]: final for final in snapshot.trained}
        candidates = [row for row in snapshot.candidates if row["status"] == "ok"]
        by_key = {row["key"]: row for row in candidates}
        best = [*(key for key in finals if key in by_key), *by_key]
        keys = list(dict.fromkeys(best))[:DRAWN]
        if not keys:
            return {"missing": "No candidate has been evaluated successfully yet."}
        try:
            space, shape, classes = self._what_is_built(snapshot)
        except GtnNasError as error:
            return {"missing": str(error)}
        drawn = []
        for key in keys:
            row, final = by_key[key], finals.get(key, {})
            picture = self._drawing(space, row, shape, classes)
            sizes = {"params": number(row["params"]), "final_params": number(final.get("params"))}
            accuracies = {n: number(final.get(n)) for n in ("validation_accuracy", "test_accuracy")}
            drawn.append(
                {"key": key, "choices": mapping(row["choices"])} | sizes | accuracies | picture
            )
        return {"drawn": drawn}

    def lesson(self, snapshot: Snapshot) -> Picture:
        """Return the teacher's lesson; if there is none, the entry ``missing`` says why."""
        from gtn_nas.report.lesson import find_teacher, lesson_of

        wanted = str(snapshot.about.get("teacher"))
        if wanted not in self._lessons:
            try:
                self._lessons[wanted] = lesson_of(find_teacher(snapshot, self.teacher))
            except GtnNasError as error:
                return {"missing": str(error)}
        return self._lessons[wanted]

    def _what_is_built(self, snapshot: Snapshot) -> tuple[Any, tuple[int, int, int], int]:
        """Return the search space, the shape of an image, and the number of classes.

        Raises:
            GtnNasError: the run does not say them, or the search space is a user's own module that
                was not named for this report.
        """
        name = str(snapshot.config.get("space", "conv_chain"))
        if ":" in name and self.space != name:
            raise GtnNasError(
                f"This run's search space is the module {name!r}, whose code would be executed; "
                f"name it again to allow that: --space {name}"
            )
        shape, classes = snapshot.about.get("proxy_image_shape"), snapshot.about.get("classes")
        if shape is None or not (_is_shape(shape) and isinstance(classes, list) and classes):
            raise GtnNasError("The run does not say of which size its images are.")
        return get_space(name), (shape[0], shape[1], shape[2]), len(classes)

    def _drawing(
        self, space: Any, row: dict[str, Any], shape: tuple[int, int, int], classes: int
    ) -> Picture:
        """Return the boxes and lines of a drawing, or ``missing`` with the reason."""
        from gtn_nas.report.drawing import draw
        from gtn_nas.report.tracing import trace

        known = (space.name, row["space"], row["choices"], *shape, classes)
        if known not in self._drawings:
            try:
                stored = Architecture.from_json(row["space"], row["choices"])
                architecture = space.architecture(stored.choices)  # refuses unknown options
                network = space.build(architecture, shape, classes, "proxy")
                self._drawings[known] = draw(trace(network, shape))
            except Exception as error:  # a network's own code may raise anything
                self._drawings[known] = {"missing": f"It cannot be drawn ({one_line(error)})."}
        return self._drawings[known]


def _is_shape(shape: Any) -> bool:
    """Tell whether a value is a valid shape ``[C, H, W]`` of images that proxies use."""
    is_triple = isinstance(shape, list) and len(shape) == 3
    return is_triple and all(isinstance(n, int) and 0 < n <= PROXY_SIDE for n in shape)
