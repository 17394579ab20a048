import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys
from gtn_nas.memory import keep_freed_memory
import torch
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.zeros(16 * 2**20)
before = faults()
for _ in range(20):
    torch.zeros(16 * 2**20)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_large_blocks_are_used_again():
    def faults(mode):
        command = [sys.executable, "-c", COUNT_FAULTS, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < faults("release") / 10
