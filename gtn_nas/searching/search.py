"""One search, from the configuration to the finals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from gtn_nas.architecture import Architecture
from gtn_nas.config.search import SearchConfig, refuse_changes
from gtn_nas.config.yaml_file import to_yaml
from gtn_nas.errors import ConfigError, RunFolderError
from gtn_nas.executors.base import Load
from gtn_nas.proxies.catalogue import LATENCY_MS
from gtn_nas.ranking.winner import winner
from gtn_nas.results.layout import CONFIG, is_run, refuse_used
from gtn_nas.results.store import RunStore
from gtn_nas.searching.backends import get_backend
from gtn_nas.searching.controller import Controller
from gtn_nas.searching.curves import write_best_so_far
from gtn_nas.searching.evaluation import Evaluation, prepare
from gtn_nas.searching.finals import Finals
from gtn_nas.searching.identity import latency_fingerprint, refuse_other_identity
from gtn_nas.searching.latencies import Latencies
from gtn_nas.searching.steering import strategy_context
from gtn_nas.storage.files import Place, place_of
from gtn_nas.strategies import get_strategy, make_strategy
from gtn_nas.strategies.base import Strategy
from gtn_nas.strategies.listed import Listed
from gtn_nas.trial import Final, Record, Status
from gtn_nas.versions import versions

log = logging.getLogger(__name__)

C = TypeVar("C", bound=SearchConfig)
OPEN = ("rank_by", "proxy_seeds")
"""Settings that may be unset (``None``) and are then decided when a search is prepared."""
Stage = Literal["starting", "candidates", "latencies", "finals"]


@dataclass(frozen=True)
class SearchProgress:
    """The progress of a search.

    Attributes:
        stage: ``starting`` once, after workers were requested; then the stage that ``done`` counts.
        done: by stage: evaluations of candidates (promotions included), measured latencies, or
            epochs of full training that are done.
        total: the number that ``done`` is to reach.
        best: the best candidate so far.
        finals: number of full trainings that have ended.
        failures: number of failed evaluations so far, by status.
        load: how busy the workers are, while candidates are evaluated.
        dashboard: address of the Ray dashboard, where there is one; told at the start.
    """

    stage: Stage
    done: int
    total: int
    best: Record | None = None
    finals: int = 0
    failures: Mapping[Status, int] = field(default_factory=dict)
    load: Load | None = None
    dashboard: str | None = None


OnProgress = Callable[[SearchProgress], None]


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        folder: the run folder.
        ranking: every evaluated candidate, best first.
        front: the Pareto front of score and objectives, best score first; empty without objectives.
        finals: every full training, best first; see ``ranking.winner``.
        exhausted: whether the search ended early because the space has no more architectures.

    Example:
        >>> from gtn_nas import SearchConfig, search
        >>> sizes = {"candidates": 4, "top_k": 1, "final_epochs": 1}
        >>> config = SearchConfig(**sizes, executor="inline", out="runs/mine")
        >>> result = search(config, resume=True)  # what is stored is not done again
        >>> result.winner.key == result.ranking[0].key
        True
    """

    folder: Place
    ranking: list[Record]
    front: list[Record]
    finals: list[Final]
    exhausted: bool

    @property
    def winner(self) -> Final | None:
        """The final that is best on validation images, if any was trained."""
        return winner(self.finals)


def search(
    config: SearchConfig, *, resume: bool = False, on_progress: OnProgress | None = None
) -> SearchResult:
    """Evaluate candidates, rank them, and fully train the best.

    Args:
        config: settings of the search; if ``out`` is not set, a new folder in ``runs/`` is used.
        resume: continue the run in ``config.out`` from what it has stored.
        on_progress: called as results arrive, in this thread.

    Raises:
        GtnNasError: the input is wrong or the environment failed; the message says what to do.
            Records of evaluations that had ended are stored, and ``resume`` continues from them.

    Example:
        >>> from gtn_nas import SearchConfig, search
        >>> sizes = {"candidates": 4, "top_k": 1, "final_epochs": 1}
        >>> result = search(SearchConfig(**sizes, executor="inline", out="runs/mine"))
        >>> len(result.ranking), len(result.finals)
        (4, 1)
        >>> (result.folder / result.winner.weights).exists()
        True
    """
    return Search(config, resume=resume).run(on_progress or (lambda progress: None))


class Search:
    """One search, checked in full before anything is written.

    Args:
        config: settings of the search.
        resume: continue the run in ``config.out``.
        architectures: candidates to evaluate in this order, instead of a strategy's.

    Raises:
        GtnNasError: the input is wrong.
    """

    def __init__(
        self,
        config: SearchConfig,
        *,
        resume: bool = False,
        architectures: Sequence[Architecture] | None = None,
    ) -> None:
        self.resume = resume
        self.folder = place_of(config.out or default_folder(config))
        config = _checked(self.folder, config, resume)
        strategy = get_strategy(config.strategy)
        if config.sampler is not None and not strategy.takes_sampler:
            raise ConfigError(f"a sampler is for --strategy optuna; {config.strategy} has none")
        self.backend = get_backend(config)
        self.evaluation: Evaluation = prepare(config)
        self.config, self.goals = self.evaluation.config, self.evaluation.goals
        self.identity = dict(self.evaluation.identity)
        if self.evaluation.wants_latency:
            self.identity["latency code"] = latency_fingerprint()
        if resume:
            refuse_other_identity(self.folder, self.identity)
        # Latency is measured later. A missing value would count as beyond every limit until then.
        self.steering = self.goals.without([LATENCY_MS])
        space, budget = self.evaluation.space, self.evaluation.budget
        context = strategy_context(space, budget, config.seed, self.steering, config.sampler)
        if architectures is not None:
            self.strategy: Strategy = Listed(context, architectures)
        else:
            self.strategy = make_strategy(strategy, context)

    def run(self, on_progress: OnProgress) -> SearchResult:
        """Evaluate the candidates, release the workers, and train the best fully."""
        with self.backend.connected() as dashboard:
            factory, arrays = self.evaluation.factory(), self.evaluation.arrays()
            executor = self.backend.executor(factory, arrays)
            total = self.config.candidates
            on_progress(SearchProgress("starting", 0, total, dashboard=dashboard))
            with executor, self._store() as store:
                controller = Controller(
                    self.strategy,
                    executor,
                    store,
                    seed=self.config.seed,
                    evaluation_id=self.evaluation.id,
                    candidates=total,
                )
                self._evaluate(controller, on_progress)
                executor.close()  # latencies need an idle machine, finals its CPUs and GPUs
                records = controller.records()
                write_best_so_far(self.folder, records, self._scores)
                records = self._with_latencies(records, store, on_progress)
                ranking = self.goals.ranked(records)
                front = self.goals.front(ranking) if self.goals.objectives else []
                finals = Finals(self.config, self.evaluation, store, self.backend)
                trained = finals.train(
                    ranking,
                    self.goals.wanted(ranking),
                    lambda epochs, total, ended: on_progress(
                        SearchProgress("finals", epochs, total, ranking[0], ended)
                    ),
                )
                store.append_event("end", key=trained[0].key if trained else None)
                store.compact()
        return SearchResult(self.folder, ranking, front, trained, controller.exhausted)

    @property
    def _scores(self) -> list[str]:
        """Columns of the score, and ``proxy_accuracy``, which everybody understands."""
        return list(dict.fromkeys([*self.goals.score.columns, "proxy_accuracy"]))

    def _evaluate(self, controller: Controller, on_progress: OnProgress) -> None:
        """Run the controller until all records are stored, and report progress."""

        def tell() -> None:
            on_progress(
                SearchProgress(
                    "candidates",
                    controller.done,
                    controller.total,
                    best,
                    failures=dict(controller.failures),
                    load=controller.executor.load(),
                )
            )

        ranked = self.steering.ranked
        best = next(iter(ranked(controller.records())), None)
        controller.on_notice = lambda notice: tell()
        tell()
        for record in controller.run():
            best = record if best is None else ranked([best, record])[0]
            tell()

    def _with_latencies(
        self, records: list[Record], store: RunStore, on_progress: OnProgress
    ) -> list[Record]:
        """Return the records, with their latencies if latencies are wanted."""
        if not self.evaluation.wants_latency:
            return records
        return Latencies(self.config, self.evaluation, store, self.backend).complete(
            records, lambda done, total: on_progress(SearchProgress("latencies", done, total))
        )

    def _store(self) -> RunStore:
        """Create the run folder, or open it if the run is resumed."""
        facts = {**self.identity, **self.evaluation.images, "versions": versions()}
        if not self.resume:
            store = RunStore.create(self.folder, to_yaml(self.config))
            store.append_event("start", details=facts)
            store.flush()
            return store
        store = RunStore.open(self.folder)
        try:
            store.save_config(to_yaml(self.config))
            store.append_event("resume", details=facts)
        except BaseException:
            store.close()
            raise
        return store


def default_folder(config: SearchConfig) -> Path:
    """Return ``runs/<dataset>-<space>-<time>``, the time in UTC."""
    from datetime import UTC, datetime

    name = f"{config.dataset}-{config.space}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return Path("runs") / safe


def stored_config(folder: Place, kind: type[C]) -> C:
    """Return the configuration of the run in a folder.

    Args:
        folder: the run folder.
        kind: the configuration's class.

    Raises:
        RunFolderError: the folder is not a run folder.
        ConfigError: the configuration is damaged.
        StoreError: the folder is in a bucket that does not answer.
    """
    from gtn_nas.config.base import parse
    from gtn_nas.config.yaml_file import read_yaml

    if not is_run(folder):
        raise RunFolderError(f"{folder} is not a run; there is nothing to resume")
    return parse(kind, read_yaml(folder / CONFIG))


def _checked(folder: Place, config: C, resume: bool) -> C:
    """Check the run folder; return the configuration, open settings taken from a resumed run."""
    if not resume:
        refuse_used(folder)
        return config
    stored = stored_config(folder, type(config))
    decided = {name: getattr(stored, name) for name in OPEN if getattr(config, name) is None}
    config = config.model_copy(update=decided)
    refuse_changes(stored, config)
    return config
