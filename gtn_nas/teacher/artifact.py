"""The teacher as a safetensors file, whose header has everything that a user of it must know."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from gtn_nas.config.pretrain import Curriculum
from gtn_nas.errors import TeacherError, UnknownNameError
from gtn_nas.storage.files import Place, whole_file
from gtn_nas.storage.local_copy import kept_copy

if TYPE_CHECKING:
    from torch import nn

    from gtn_nas.teacher.curriculum import RealData, Teacher

SHIPPED = Path(__file__).parents[1] / "teachers"
FORMAT = "gtn-nas teacher 1"


class MeasuredRanking(BaseModel):
    """How well scores rank candidates that the teacher did not see in meta-training.

    Attributes:
        truth: description of the measure that counts as the truth.
        space: search space of the candidates.
        count: number of candidates.
        seeds: number of initialisations over which the score of a trained candidate is the mean.
        spearman: for each score, ``params`` among them, Spearman's rank correlation with the truth
            and the lower and upper end of its 95 % interval.
    """

    model_config = ConfigDict(extra="forbid")

    truth: str
    space: str
    count: int
    seeds: int = 1
    spearman: dict[str, tuple[float, float, float]]


class TeacherHeader(BaseModel):
    """Contents of the header of a teacher's file.

    Attributes:
        dataset: name of the data set that the teacher was meta-trained on.
        fingerprint: hash of that data set, before splitting.
        split_seed: seed of the split whose training images the teacher saw.
        classes: class names, in the order of the labels.
        mean: per-channel mean that images are normalised with.
        std: per-channel standard deviation that images are normalised with.
        image_shape: channels, height and width.
        space: search space from which the learners were sampled.
        inner_steps: batches in the lesson (T).
        batch_size: images in a batch (B).
        generator: sizes of the generator.
        soft_labels: whether labels are learned probabilities.
        curriculum: which parts of the lesson are learned, and in which order it is shown.
        meta_training: configuration of the meta-training. In addition, ``calibration`` is the
            factor by which the learned rates were multiplied at the end, and ``start`` the file
            that the meta-training continued from, if any.
        seed: seed of the meta-training.
        versions: versions of Python and torch in the meta-training.
        validation_accuracy: mean accuracy (0-1) of held-out learners on validation images,
            measured after rounding to 16 bits.
        ranking: how well the teacher ranks candidates, if that was measured.
    """

    model_config = ConfigDict(extra="forbid")

    dataset: str
    fingerprint: str
    split_seed: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_shape: tuple[int, int, int]
    space: str
    inner_steps: int
    batch_size: int
    generator: dict[str, int]
    soft_labels: bool
    curriculum: Curriculum = "full"
    meta_training: dict[str, int | float | str | None]
    seed: int
    versions: dict[str, str]
    validation_accuracy: float | None = None
    ranking: MeasuredRanking | None = None


def shipped_teachers() -> dict[str, Path]:
    """Return the teachers that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def resolve_teacher(name: str) -> Path:
    """Return the file of a teacher.

    Args:
        name: name of a shipped teacher, a path, or a URI. The file at a URI is copied.

    Raises:
        TeacherError: the path does not exist.
        UnknownNameError: the name is neither a path nor that of a shipped teacher.
        ConfigError: the URI is wrong, or there is nothing at it.
        StoreError: the bucket does not answer.
    """
    if "://" in name:
        return kept_copy(name)
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise TeacherError(f"no teacher at {name}; make one with `gtn-nas pretrain`")
    shipped = shipped_teachers()
    if name not in shipped:
        raise UnknownNameError("teacher", name, shipped)
    return shipped[name]


def round_to_16_bits(teacher: nn.Module) -> None:
    """Round every weight in place to 16 bits, the precision of a teacher's file."""
    for parameter in teacher.parameters():
        parameter.data = parameter.data.half().float()


def save_teacher(teacher: Teacher, header: TeacherHeader, path: Place) -> None:
    """Write a teacher's file, with weights in 16 bits. It appears complete or not at all.

    Raises:
        EnvironmentFailure: the file cannot be written.
    """
    from safetensors.torch import save

    tensors = {n: p.detach().half().contiguous().cpu() for n, p in teacher.named_parameters()}
    metadata = {"format": FORMAT, "header": header.model_dump_json()}
    with whole_file(path) as file:
        file.write(save(tensors, metadata))


def save_step_sizes(control: RealData, path: Place) -> None:
    """Write the step sizes that the control learned, as settings of the proxy ``real_steps``.

    Raises:
        EnvironmentFailure: the file cannot be written.
    """
    rates, momenta = (sizes.tolist() for sizes in control.step_sizes())
    settings = {
        "real_steps": control.inner_steps,
        "real_batch_size": control.batch_size,
        "real_learning_rate": rates,
        "real_momentum": momenta,
    }
    with whole_file(path) as file:
        file.write(yaml.safe_dump(settings, sort_keys=False).encode())


def read_header(path: Path) -> TeacherHeader:
    """Read the header only, without importing torch.

    Raises:
        TeacherError: the file is not a teacher artefact.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise TeacherError(f"{path} is a safetensors file, but not a teacher of gtn-nas")
        return TeacherHeader.model_validate_json(metadata["header"])
    except (SafetensorError, OSError) as error:
        raise TeacherError(f"{path} is not a readable safetensors file: {error}") from error
    except (ValidationError, KeyError) as error:
        raise TeacherError(
            f"{path}: its header is damaged or from another version; meta-train it again"
        ) from error


def load_teacher(path: Path) -> tuple[Teacher, TeacherHeader]:
    """Load a teacher in 32 bits on the CPU, and its header.

    Raises:
        TeacherError: the file is not a teacher artefact, or its weights do not fit its header.
    """
    from safetensors.torch import load_file

    from gtn_nas.teacher.curriculum import Teacher, TeacherConfig

    header = read_header(path)
    try:
        teacher = Teacher(
            TeacherConfig(
                image_shape=header.image_shape,
                num_classes=len(header.classes),
                inner_steps=header.inner_steps,
                batch_size=header.batch_size,
                soft_labels=header.soft_labels,
                curriculum=header.curriculum,
                **header.generator,
            )
        )
        weights = {name: tensor.float() for name, tensor in load_file(path).items()}
        missing, unexpected = teacher.load_state_dict(weights, strict=False)
    except (SafetensorError, RuntimeError, TypeError) as error:  # TypeError: unknown sizes
        raise TeacherError(f"{path}: weights do not fit the header; meta-train it again") from error
    if unexpected or missing != ["labels"]:  # labels are not stored
        raise TeacherError(f"{path}: weights are missing or foreign; meta-train it again")
    return teacher.eval(), header


def weights_fingerprint(path: Path) -> str:
    """Return a hash of the weights (16 hex digits) that does not depend on the header.

    Raises:
        TeacherError: the file is not readable.
    """
    tensors = _tensors(path)
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].shape}".encode())
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()[:16]


def replace_header(path: Path, header: TeacherHeader) -> None:
    """Replace the header of a teacher's file and keep its weights.

    The file changes completely or not at all.

    Raises:
        TeacherError: the file is not readable.
        EnvironmentFailure: the file cannot be written.
    """
    from safetensors.numpy import save

    metadata = {"format": FORMAT, "header": header.model_dump_json()}
    contents = save(_tensors(path), metadata)
    with whole_file(path) as file:
        file.write(contents)


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise TeacherError(f"{path} is not a readable safetensors file: {error}") from error
