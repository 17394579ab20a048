from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gtn_nas.executors import Executor, InlineExecutor, RayExecutor

from . import evaluators

Make = Callable[..., Executor]


@pytest.fixture(scope="session")
def ray_cluster(ray_local: None) -> None:
    """Ray, with test evaluators that workers need not be able to import."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(evaluators)


@pytest.fixture
def make_ray(ray_cluster: None, tmp_path: Path) -> Iterator[Make]:
    """Make Ray executors of toy candidates; they are closed after the test."""
    with ExitStack() as stack:
        yield lambda factory=None, **options: stack.enter_context(
            RayExecutor(
                factory or evaluators.ToyFactory(tmp_path), evaluators.toy_arrays(), **options
            )
        )


@pytest.fixture
def make_inline(tmp_path: Path) -> Iterator[Make]:
    """Make inline executors of toy candidates; they are closed after the test."""
    with ExitStack() as stack:
        yield lambda factory=None, **options: stack.enter_context(
            InlineExecutor(
                factory or evaluators.ToyFactory(tmp_path), evaluators.toy_arrays(), **options
            )
        )


@pytest.fixture(params=["inline", "ray"])
def make(request: pytest.FixtureRequest) -> Any:
    """Make executors of each kind."""
    return request.getfixturevalue(f"make_{request.param}")
