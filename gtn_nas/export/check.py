"""Checks that exported files compute the same logits as the trained network.

Each format is loaded as the export's README says, in a Python process that cannot import this
package.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from gtn_nas.errors import ExportError, one_line
from gtn_nas.export.trained import Images

BATCHES = (1, 5)
"""Sizes of the batches that are compared."""

TOLERANCES = {"pytorch": 1e-6, "onnx": 1e-4}
"""Largest allowed difference of logits, as a share of the largest logit if that is above 1."""

TIMEOUT_S = 600.0

_ALONE = """
import sys
sys.modules["gtn_nas"] = None
folder, given, found = sys.argv[1:]
sys.path.insert(0, folder)
import numpy as np
batches = np.load(given)
"""

_PROGRAMS = {
    "pytorch": """
import torch
from safetensors.torch import load_file
from model import Network
network = Network()
network.load_state_dict(load_file(folder + "/weights.safetensors"))
network.eval()
def answer(images):
    with torch.inference_mode():
        return network(torch.from_numpy(images)).numpy()
""",
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
def answer(images):
    return session.run(["logits"], {"images": images})[0]
""",
}

_ANSWER = """
np.savez(found, **{size: answer(batches[size]) for size in batches.files})
"""


def differences(
    folder: Path, formats: tuple[str, ...], network: nn.Module, images: Images
) -> Mapping[str, float]:
    """Return how far the logits of each format are from the network's.

    The images are random, with all values that a pixel can have, and normalised like real ones.

    Args:
        folder: the exported files.
        formats: the formats to check, keys of ``TOLERANCES``.
        network: the trained network.
        images: the images that the network was trained on.

    Returns:
        By format, the largest difference of a logit, as a share of the largest logit if that is
        above 1.

    Raises:
        ExportError: a format cannot be loaded, or differs by more than its tolerance.
    """
    generator = torch.Generator().manual_seed(0)
    batches = {
        str(size): images.normalise(
            torch.randint(256, (size, *images.shape), dtype=torch.uint8, generator=generator)
        )
        for size in BATCHES
    }
    with torch.inference_mode():
        wanted = {size: network(batch).numpy() for size, batch in batches.items()}
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="gtn-nas-") as aside:
        given = Path(aside) / "batches.npz"
        np.savez(given, allow_pickle=False, **{size: b.numpy() for size, b in batches.items()})
        for name in formats:
            answers = _answers(name, folder, given)
            found[name] = float(np.max([_distance(answers[size], wanted[size]) for size in wanted]))
            if not found[name] <= TOLERANCES[name]:  # also true for NaN
                raise ExportError(
                    f"the exported {name} does not answer as the trained network does: its logits "
                    f"differ by {found[name]:.2g} of the largest, allowed are {TOLERANCES[name]:g}"
                )
    return found


def _answers(name: str, folder: Path, given: Path) -> Mapping[str, np.ndarray]:
    """Return the logits of one format, computed in a new process.

    Args:
        name: the format.
        folder: the exported files.
        given: file with the batches of images.
    """
    answers = given.with_name(f"{name}.npz")
    program = _ALONE + _PROGRAMS[name] + _ANSWER
    command = [sys.executable, "-I", "-B", "-c", program, str(folder), str(given), str(answers)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"the exported {name} did not answer in {TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ExportError(
            f"the exported {name} cannot be used without this package ({one_line(OSError(last))})"
        )
    with np.load(answers) as arrays:
        return dict(arrays)


def _distance(found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    if not (np.isfinite(found).all() and np.isfinite(wanted).all()):
        return float("nan")
    largest = max(1.0, float(np.abs(wanted).max()))
    return float(np.abs(found.astype(np.float64) - wanted).max()) / largest
