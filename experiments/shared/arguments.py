"""Command-line arguments that scripts share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

Budget = Literal["small", "full"]


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose ``--help`` begins with the first line of a script's docstring."""
    return argparse.ArgumentParser(description=(description or "").splitlines()[0])


def with_data_dir(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option ``--data-dir`` for the folder of MNIST."""
    asked = parser(description)
    asked.add_argument("--data-dir", type=Path, default=Path("data"), help="folder of MNIST")
    return asked
