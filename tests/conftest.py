import logging
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .gate import Gate
from .ray_head import RayHead, ray_head

# Before torch is imported: the networks here are tiny, and a second thread would cost more time in
# waiting than it saves.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Nobody's real buckets are within a test's reach; Ray's workers inherit this.
os.environ |= {
    "AWS_ACCESS_KEY_ID": "known-to-nobody",
    "AWS_SECRET_ACCESS_KEY": "hush-hush",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}

# Ray's workers give way to all else by default: beside a second process of tests they stand still.
os.environ |= {"RAY_worker_niceness": "0"}

# A shell that starts the tests in the background lets them ignore Ctrl-C, and what they start would
# inherit that; a handler is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Undo what a command did to signals: its process would end with it, that of tests goes on."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        if handler is not None:  # of what is not Python
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def dev_data() -> Path:
    """Folder of real development data (MNIST, CIFAR-10, NAS-Bench-201); outside the project."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GTN_NAS_DEV_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}; set GTN_NAS_DEV_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """A real S3 server on a port of this machine, by moto."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def gate(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """The way to that server, which can be shut."""
    with Gate(s3_port) as gate:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{gate.port}")
        yield gate


@pytest.fixture
def bucket(gate: Gate) -> str:
    """The URI of a new and empty bucket."""
    from pyarrow.fs import FileSystem

    name = f"bucket-{secrets.token_hex(6)}"
    files, _ = FileSystem.from_uri(f"s3://{name}?allow_bucket_creation=true")
    files.create_dir(name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A private Ray cluster with two CPUs on this machine, shared by all tests that ask for it."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=150 * 2**20,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def head() -> Iterator[RayHead]:
    """A head node with two CPUs that asks for a token, on this machine; shared by its tests."""
    with ray_head(cpus=2) as started:
        yield started


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of digits with four batches, after one step of meta-training."""
    from gtn_nas.config.pretrain import PretrainConfig
    from gtn_nas.pretraining.pretraining import Pretraining

    out = tmp_path_factory.mktemp("teacher") / "tiny.safetensors"
    config = PretrainConfig(
        inner_steps=4,
        batch_size=20,
        meta_iterations=1,
        warm_start_steps=60,
        hidden=32,
        channels=16,
        noise_dim=16,
        out=out,
    )
    pretraining = Pretraining(config)
    for _ in pretraining.run():
        pass
    pretraining.finish(learners=1)
    return out
