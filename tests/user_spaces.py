"""Search spaces as a user would write them, in a module of their own."""

from pathlib import Path

LINEAR = """
import os
import signal
from pathlib import Path

from torch import nn

from gtn_nas import SearchSpace

HERE = Path(__file__).parent
SIGNALS = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT, "terminate": signal.SIGTERM}


class Linear(SearchSpace):
    name = "linear"
    choices = {"width": (1, 2, 3, 4, 5, 6, 7, 8), "act": ACTS}

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        width, act = architecture.choices["width"], architecture.choices["act"]
        if act == "fail":
            raise ValueError(f"cannot be {width} wide")
        if act in SIGNALS and not (HERE / "sent").exists():
            (HERE / "sent").touch()
            os.kill(os.getpid(), SIGNALS[act])
        features = input_shape[0] * input_shape[1] * input_shape[2]
        middle = nn.Tanh() if act == "tanh" else nn.ReLU()
        return nn.Sequential(
            nn.Flatten(), nn.Linear(features, width), middle, nn.Linear(width, num_classes)
        )
"""


def write_space(folder: Path, name: str, *acts: str) -> str:
    """Write a module with a space of eight networks for each act, and return the space.

    Acts are ``relu`` and ``tanh``; ``fail`` raises an error; ``kill``, ``interrupt`` and
    ``terminate`` send a signal to their own process, once in all.
    """
    (folder / f"{name}.py").write_text(LINEAR.replace("ACTS", repr(acts)))
    return f"{name}:Linear"
