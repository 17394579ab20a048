import os
from pathlib import Path

import numpy as np
import pytest

from gtn_nas.errors import ClusterError, EnvironmentFailure, ResourceError
from gtn_nas.executors import RayMap


class Sums:
    """Adds an array, the state and the argument; some arguments do other things."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def __call__(self, arrays):
        def function(state, argument):
            mark = self.scratch / str(argument)
            if argument == 13:
                os._exit(1)
            if argument == 14 and not mark.exists():
                mark.touch()
                os._exit(1)
            if argument == 15:
                raise ValueError("fifteen")
            return float(arrays["base"].sum() + state["offset"].sum()) + argument

        return function


@pytest.fixture
def make(ray_cluster, tmp_path):
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["Sums"]))
    arrays = {"base": np.full(1000, 0.5)}
    return lambda workers=2: RayMap(Sums(tmp_path), arrays, workers=workers)


def state(offset=0.0):
    return {"offset": np.array([offset])}


def test_results_come_in_the_order_of_the_arguments(make):
    with make() as numbers:
        assert numbers(state(), [3, 1, 2, 5, 4]) == [503, 501, 502, 505, 504]
        assert numbers(state(100), [1]) == [601]


def test_a_worker_that_dies_costs_its_argument_of_that_round(make):
    with make() as numbers:
        assert numbers(state(), [1, 13]) == [501]
        assert numbers(state(), [1, 2]) == [501, 502]


def test_a_round_without_any_result_is_repeated(make):
    with make(workers=1) as numbers:
        assert numbers(state(), [14]) == [514]


def test_workers_that_always_die_are_an_error(make):
    with make(workers=1) as numbers, pytest.raises(ClusterError, match="all workers died 3 times"):
        numbers(state(), [13])


def test_an_error_of_the_function_is_told(make):
    with (
        make() as numbers,
        pytest.raises(EnvironmentFailure, match="a worker failed: ValueError: fifteen"),
    ):
        numbers(state(), [1, 15])


def test_more_workers_than_fit_are_refused(make):
    with pytest.raises(ResourceError, match="room for 2"):
        make(workers=3)


def test_workers_free_what_they_reserved(make):
    for _ in range(3):
        with make() as numbers:
            assert numbers(state(), [1]) == [501]
