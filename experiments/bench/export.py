"""Do exported networks load and agree, how large are they, and is ONNX faster than PyTorch?

For every search space, a search on digits fully trains its five largest networks for one epoch, and
all five are exported. The exported files are then measured on one thread, as a user would run them:
the forward passes of PyTorch and ONNX take turns, and the table has the median of each. The table
is ``experiments/tables/bench_export.csv``.

Run with ``python -m experiments.bench.export [SPACE ...]``.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from safetensors.torch import load_file
from torch import nn

from experiments.shared.arguments import parser
from experiments.shared.machine import machine
from experiments.shared.tables import Table, markdown
from gtn_nas import SearchConfig, search
from gtn_nas.export.exporting import Exported, export
from gtn_nas.spaces import SPACES

TOP = 5
BATCHES = (1, 32)
LEAST_S = 2.0
"""Shortest time of measuring one network with one batch size."""


def main() -> None:
    """Measure the named search spaces, and print the table."""
    arguments = parser(__doc__)
    arguments.add_argument("spaces", nargs="*", metavar="SPACE", help="all by default")
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    table = Table("bench_export")
    for space in asked.spaces or SPACES:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            config = SearchConfig(
                space=space,
                candidates=TOP,
                top_k=TOP,
                rank_by="params",
                proxies=(),
                final_epochs=1,
                executor="inline",
                out=str(run),
            )
            search(config)
            measured = []
            for rank in range(1, TOP + 1):
                exported = export(run, Path(folder) / str(rank), rank=rank)
                measured.append({"space": space, **_measured(exported), "machine": machine()})
            table.replace(measured, space=space)
    print(machine())
    names = [name for name in table.rows[0] if name != "machine"]
    print(markdown(names, [[row[name] for name in names] for row in table.rows]))


def _measured(exported: Exported) -> Mapping[str, Any]:
    """Return the row of one network: differences of logits, file sizes and latencies."""
    trained, folder = exported.trained, exported.folder
    row: dict[str, Any] = {
        "key": trained.architecture.key,
        "rank": trained.rank,
        "params": trained.final["params"],
        "pytorch_difference": f"{exported.differences['pytorch']:.1e}",
        "onnx_difference": f"{exported.differences['onnx']:.1e}",
        "weights_kb": (folder / "weights.safetensors").stat().st_size // 1024,
        "onnx_kb": (folder / "model.onnx").stat().st_size // 1024,
    }
    network, session = _network(folder), _session(folder / "model.onnx")
    for batch in BATCHES:
        images = torch.randn(batch, *trained.images.shape)
        ours, onnx = _medians_ms(
            partial(network, images), partial(session.run, None, {"images": images.numpy()})
        )
        row[f"pytorch_ms_{batch}"], row[f"onnx_ms_{batch}"] = f"{ours:.3f}", f"{onnx:.3f}"
    return row


def _network(folder: Path) -> nn.Module:
    """Load the exported network as its README says."""
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: nn.Module = module.Network()
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return network.eval()


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
def _medians_ms(*passes: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of each pass.

    The passes take turns, so that other load on the machine affects all of them alike.
    """
    for forward in passes * 3:
        forward()
    times_ms: list[list[float]] = [[] for _ in passes]
    started = time.perf_counter()
    while time.perf_counter() - started < LEAST_S or len(times_ms[0]) < 20:
        for forward, times in zip(passes, times_ms, strict=True):
            begin = time.perf_counter()
            forward()
            times.append(1000 * (time.perf_counter() - begin))
    return list(map(statistics.median, times_ms))


if __name__ == "__main__":
    main()
