import os
import subprocess
import sys

import pytest
import torch

from gtn_nas.pretraining import memory
from gtn_nas.pretraining.memory import free_bytes

COUNT_FAULTS = """
import resource, sys
from gtn_nas.pretraining.memory import keep_freed_memory
import torch
mode, rounds = sys.argv[1:]
if mode == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def take_and_free(rounds):
    for _ in range(rounds):
        torch.zeros(16 * 2**20)
take_and_free(20)  # where the first blocks come to lie differs from process to process
before = faults()
take_and_free(int(rounds))
print(faults() - before)
"""
PAGES = 16 * 2**20 * 4 // os.sysconf("SC_PAGE_SIZE")
"""Of one block of the loop above."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this is how Linux does it")


def faults(mode, rounds):
    """Count the pages that the kernel hands out while a block is taken and freed so often."""
    command = [sys.executable, "-c", COUNT_FAULTS, mode, str(rounds)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_large_blocks_are_used_again():
    assert faults("keep", 40) < PAGES
    assert faults("release", 40) == pytest.approx(40 * PAGES, rel=0.05)


def test_free_memory_is_some_of_the_machine():
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < free_bytes(torch.device("cpu")) <= machine


V1, V2 = (
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    (
        "memory.max",
        "memory.current",
    ),
)


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Make the files by which the kernel tells a container's memory."""
    monkeypatch.setattr(memory, "CGROUP", tmp_path)

    def make(limit, used, files, statistics):
        for name, value in zip(files, (limit, used), strict=True):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"{value}\n")
        (tmp_path / files[1]).with_name("memory.stat").write_text(statistics)
        return free_bytes(torch.device("cpu"))

    return make


CONTAINERS = pytest.mark.parametrize(
    ("files", "cached"), [(V1, "total_inactive_file"), (V2, "inactive_file")], ids=["v1", "v2"]
)


@CONTAINERS
def test_a_container_has_what_its_limit_leaves(container, files, cached):
    assert container(9000, 2000, files, f"anon 2000\n{cached} 0\n") == 7000


@CONTAINERS
def test_files_that_were_read_take_no_memory(container, files, cached):
    assert container(9000, 8000, files, f"anon 2000\n{cached} 6000\n") == 7000


def test_a_container_without_a_limit_has_what_the_machine_has(container):
    free = container("max", 2000, V2, "")
    assert 2**20 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
