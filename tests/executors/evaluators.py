"""Candidates of every temper: what one does is one of its choices."""

import os
import sys
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtn_nas.architecture import Architecture
from gtn_nas.trial import Arrays, Evaluate, Record, Status, Trial


def trial(index: int, act: str = "score") -> Trial:
    return Trial(Architecture("toy", {"x": index, "act": act}), budget=1, ask_index=index)


def trials(count: int) -> list[Trial]:
    return [trial(index) for index in range(count)]


def toy_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "weights": rng.random(50_000, dtype=np.float32),
        "scattered": rng.random((64, 64))[:, ::2],
        "scalar": np.array(3.0),
    }


def checksum(arrays: Arrays) -> float:
    return float(zlib.crc32(b"".join(arrays[name].tobytes() for name in sorted(arrays))))


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


class AcceleratorError(RuntimeError):
    """Named like torch's."""


class UnsendableError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")
        self.first, self.second = first, lambda: second


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot be printed")


ERRORS: Mapping[str, Callable[[], BaseException]] = {
    "raise": lambda: ValueError("wrong\n  shape"),
    "memory": lambda: MemoryError("no more"),
    "gpu memory": lambda: OutOfMemoryError("no more"),
    "cpu memory": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: 4 TB"),
    "unsendable error": lambda: UnsendableError("one", "two"),
    "unprintable error": lambda: UnprintableError(),
    "panic": lambda: BaseException("from an extension module"),
}


@dataclass(frozen=True)
class ToyFactory:
    """Makes the evaluator; ``scratch`` is where candidates leave marks for a second attempt."""

    scratch: Path

    def __call__(self, arrays: Arrays) -> Evaluate:
        device_is_broken = False

        def evaluate(candidate: Trial) -> Record:
            nonlocal device_is_broken
            act = str(candidate.architecture.choices["act"])
            mark = self.scratch / candidate.architecture.key
            if act in ERRORS:
                raise ERRORS[act]()
            if act == "write":
                arrays["scattered"][...] = 0
            if act == "write shared":
                arrays["weights"][...] = 0
            if act == "no record":
                return None  # type: ignore[return-value]  # what this candidate does wrong
            if act == "loop":
                while True:
                    loop_once()
            if act == "exit" or (act == "exit once" and not mark.exists()):
                mark.touch()
                os._exit(1)
            if act == "eat":
                Path(self.scratch, "limit", "cgroup.procs").write_text(str(os.getpid()))
                bytearray(2**30)
            if act == "leave":
                sys.exit(1)
            device_is_broken = device_is_broken or act == "break device"
            if device_is_broken:
                raise AcceleratorError("CUDA error: device-side assert triggered")
            position = int(str(candidate.architecture.choices["x"]))
            return Record.of(
                candidate,
                Status.OK,
                proxy_accuracy=float(arrays["weights"][position]),
                extra={
                    "checksum": checksum(arrays),
                    "pid": os.getpid(),
                    "threads": float(os.environ.get("OMP_NUM_THREADS", "0")),
                    **({"lock": threading.Lock()} if act == "unsendable record" else {}),
                },
            )

        return evaluate


def loop_once() -> None:
    try:
        sum(range(1000))
    except Exception:
        return  # a deadline is not to be caught like this


def failing_factory(arrays: Arrays) -> Evaluate:
    raise RuntimeError("no such\nteacher")


def dying_factory(arrays: Arrays) -> Evaluate:
    os._exit(1)
