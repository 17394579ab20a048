"""Maps a function over many arguments, in repeated rounds, by warm actors on a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import ray
from numpy.typing import NDArray
from ray import ObjectRef, cloudpickle
from ray.exceptions import RayError, RayTaskError

from gtn_nas.errors import ClusterError, EnvironmentFailure, one_line
from gtn_nas.executors.cluster import check_fits
from gtn_nas.trial import Arrays

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

State = Mapping[str, NDArray[Any]]
"""Arrays that change from round to round, by name."""

ROUNDS = 3
"""How often a round is tried if all its workers die."""


class StatefulFunction(Protocol[T_co]):
    """A function of the round's state and one argument."""

    def __call__(self, state: State, argument: int, /) -> T_co:
        """Return the result; it is sent over the network, so keep it small."""


class FunctionFactory(Protocol[T_co]):
    """Makes a worker's function; picklable, called once in each worker."""

    def __call__(self, arrays: Arrays, /) -> StatefulFunction[T_co]:
        """Return the worker's function; the arrays are shared and read-only."""


class FunctionActor:
    """Ray actor that holds the function."""

    def __init__(self, factory: bytes, shared: dict[str, ObjectRef]) -> None:
        arrays = dict(zip(shared, ray.get(list(shared.values())), strict=True))
        self._function = cloudpickle.loads(factory)(arrays)

    def call(self, state: State, argument: int) -> Any:
        """Return the function's result."""
        return self._function(state, argument)


class RayMap(Generic[T]):
    """A fixed number of actors that divide the arguments of each round among themselves.

    Use it as a context manager. When an actor dies, its unfinished arguments of that round have no
    result, and it is replaced.

    Args:
        factory: makes the function; called once in each worker.
        arrays: the arrays for the factory, by name; each is put into the object store once.
        workers: number of actors.
        cpus_per_worker: CPUs that Ray reserves for each actor.
        gpus_per_worker: GPUs that Ray reserves for each actor.

    Raises:
        ClusterError: this process is not connected to Ray.
        ResourceError: so many workers of this size do not fit on the cluster.
    """

    def __init__(
        self,
        factory: FunctionFactory[T],
        arrays: Arrays,
        *,
        workers: int,
        cpus_per_worker: float = 1,
        gpus_per_worker: float = 0,
    ) -> None:
        if not ray.is_initialized():  # Ray would silently join or start a cluster of its choice
            raise ClusterError("not connected to Ray; use gtn_nas.executors.connect first")
        check_fits(workers, cpus_per_worker, gpus_per_worker)
        self._factory = cloudpickle.dumps(factory)
        self._arrays = {name: ray.put(array) for name, array in arrays.items()}
        self._actor = ray.remote(FunctionActor).options(
            num_cpus=cpus_per_worker, num_gpus=gpus_per_worker, max_restarts=0, max_task_retries=0
        )
        self._crew = [self._start() for _ in range(workers)]

    def __call__(self, state: State, arguments: Sequence[int]) -> list[T]:
        """Run one round.

        Args:
            state: the round's state; put into the object store once.
            arguments: what to call the function with.

        Returns:
            The results in the order of the arguments, without those of workers that died.

        Raises:
            ClusterError: all workers died, several times in a row.
            EnvironmentFailure: the function raised an error.
        """
        shared = ray.put(dict(state))
        for _ in range(ROUNDS):
            results, error = self._round(shared, arguments)
            if results:
                return results
        raise ClusterError(f"all workers died {ROUNDS} times in a row: {one_line(error)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Kill the workers and free their CPUs and GPUs."""
        if ray.is_initialized():
            for actor in self._crew:
                ray.kill(actor)
        self._crew.clear()

    def _round(self, state: ObjectRef, arguments: Sequence[int]) -> tuple[list[T], Exception]:
        count, results, lost = len(self._crew), [], set[int]()
        last: Exception = EnvironmentFailure("no arguments")
        calls = [self._crew[i % count].call.remote(state, a) for i, a in enumerate(arguments)]
        for i, call in enumerate(calls):
            try:
                results.append(ray.get(call))
            except RayTaskError as error:
                raise EnvironmentFailure(f"a worker failed: {one_line(error.cause)}") from error
            except RayError as error:
                lost.add(i % count)
                last = error
        for worker in lost:
            self._crew[worker] = self._start()
        return results, last

    def _start(self) -> Any:
        return self._actor.remote(self._factory, self._arrays)
