from __future__ import annotations

import subprocess
import sys

import torch

from gtn_nas.data.torchvision_import import SCHEMA, import_torchvision


def test_transforms_work_and_a_second_import_is_the_same():
    transforms = import_torchvision("torchvision.transforms.v2")
    images = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    assert torch.equal(transforms.functional.horizontal_flip(images), images.flip(3))
    assert import_torchvision("torchvision.transforms.v2") is transforms
    assert import_torchvision() is sys.modules["torchvision"]


def test_operators_that_are_there_already_are_left_alone():
    """As with a torchvision that fits its torch: declaring them again would raise."""
    code = (
        "import torch\n"
        f"for name in ('nms', 'qnms'): torch.library.define('torchvision::' + name, {SCHEMA!r})\n"
        "from gtn_nas.data.torchvision_import import import_torchvision\n"
        "print(import_torchvision().__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "torchvision"
