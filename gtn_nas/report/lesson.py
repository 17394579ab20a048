"""The teacher's synthetic images at several steps of the curriculum."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtn_nas.errors import GtnNasError
from gtn_nas.report.snapshot import Snapshot
from gtn_nas.teacher.artifact import (
    load_teacher,
    resolve_teacher,
    shipped_teachers,
    weights_fingerprint,
)

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 8
CLASSES = 10
MANY_PIXELS = 32 * 32
"""If images have more pixels than this, only half as many classes are shown."""


class NoLessonError(GtnNasError):
    """There is no lesson to show; the message says why."""


def find_teacher(snapshot: Snapshot, named: str | None) -> Path:
    """Return the file of the teacher that trained a run's candidates.

    The fingerprint of its weights must equal the one that the run recorded.

    Args:
        snapshot: the run.
        named: the teacher that the user named: a file, a URI, or the name of a shipped teacher. If
            given, no other file is tried.

    Raises:
        NoLessonError: the run had no teacher, the named teacher is another one, or no file on this
            machine has these weights.
        GtnNasError: the named teacher cannot be read.
    """
    wanted = snapshot.about.get("teacher")
    if not wanted:
        raise NoLessonError("No proxy of this run needed a teacher.")
    if named is not None:
        path = resolve_teacher(named)
        if weights_fingerprint(path) != wanted:
            raise NoLessonError(f"{named} is not the teacher of this run.")
        return path
    candidates = list(shipped_teachers().values())
    stored = snapshot.config.get("teacher")
    if isinstance(stored, str) and "://" not in stored and Path(stored).is_file():
        candidates.append(Path(stored))
    for path in candidates:
        try:
            if weights_fingerprint(path) == wanted:
                return path
        except GtnNasError:  # the file at this path is no teacher any more
            continue
    raise NoLessonError(
        f"The teacher of this run ({stored or 'weights ' + str(wanted)}) is not on this machine; "
        "name its file with --teacher."
    )


def lesson_of(path: Path) -> dict[str, Any]:
    """Return a teacher's lesson as JSON values.

    It has images of some classes at some steps, the learning rates and momenta of all steps, and
    facts from the file's header.

    Raises:
        TeacherError: the file is not a teacher.
    """
    import torch

    teacher, header = load_teacher(path)
    with torch.no_grad():
        lesson = teacher.lesson()
    labels = lesson.labels.argmax(-1) if lesson.labels.dim() == 3 else lesson.labels
    last = lesson.steps - 1
    steps = sorted({round(i * last / (STEPS - 1)) for i in range(STEPS)})
    many = lesson.images.shape[-1] * lesson.images.shape[-2] > MANY_PIXELS
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (header.mean, header.std))
    rows = []
    for label, name in list(enumerate(header.classes))[: CLASSES // 2 if many else CLASSES]:
        images = []
        for step in steps:
            found = (labels[step] == label).nonzero().flatten()
            shown = lesson.images[step, found[0]] * std + mean if len(found) else None
            images.append(None if shown is None else _data_url(shown))
        rows.append({"name": name, "images": images})
    return {
        "name": path.stem,
        "steps": [step + 1 for step in steps],
        "classes": rows,
        "all_classes": len(header.classes),
        "size": list(lesson.images.shape[-2:]),
        "batch_size": header.batch_size,
        "curriculum": header.curriculum,
        "learning_rates": [round(rate, 5) for rate in lesson.learning_rates.tolist()],
        "momenta": [round(momentum, 5) for momentum in lesson.momenta.tolist()],
        "accuracy": header.validation_accuracy,
        "space": header.space,
    }


def _data_url(image: Tensor) -> str:
    """Return an image, ``(C, H, W)`` in 0-1, as a data URL that holds a PNG."""
    from PIL import Image

    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    grey = pixels.shape[2] != 3
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if grey else pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
