"""Search spaces as a user would write them, and modules that hold them."""

from pathlib import Path

LINEAR = """
import os
from pathlib import Path

from torch import nn

from gtn_nas import SearchSpace

HERE = Path(__file__).parent


class Linear(SearchSpace):
    name = "linear"
    choices = {"width": tuple(range(1, 9)), "act": ("relu", "tanh", "fail", "kill")[:%d]}

    def build(self, architecture, input_shape, num_classes, scale="proxy"):
        width, act = architecture.choices["width"], architecture.choices["act"]
        if act == "fail":
            raise ValueError(f"cannot be {width} wide")
        if act == "kill" and not (HERE / "killed").exists():
            (HERE / "killed").touch()
            os.kill(os.getpid(), 9)
        features = input_shape[0] * input_shape[1] * input_shape[2]
        middle = nn.Tanh() if act == "tanh" else nn.ReLU()
        return nn.Sequential(
            nn.Flatten(), nn.Linear(features, width), middle, nn.Linear(width, num_classes)
        )
"""


def write_space(folder: Path, name: str, acts: int = 2) -> str:
    """Write a module of sixteen small networks, or with three of 24 (a third of them raise), or
    with four of 32 (a quarter of them kill their process, the first time); return its space."""
    (folder / f"{name}.py").write_text(LINEAR % acts)
    return f"{name}:Linear"
