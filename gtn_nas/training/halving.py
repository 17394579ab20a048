"""Successive halving of full trainings: whoever is behind ends early, and nobody waits."""

from __future__ import annotations

from gtn_nas.training.train import EpochReport


class Halving:
    """Decides after some epochs whether a training goes on.

    At a milestone, a training ends if its validation accuracy so far is not among the best
    ``1 / eta`` of all trainings that came there before it, itself included. The first to come
    always goes on, so that slow networks hold up nobody.

    Source: Li et al. 2020, arXiv 1810.05934, section 3 (asynchronous successive halving), in the
    form that stops trainings instead of promoting them.

    Args:
        epochs: of a whole training.
        eta: how much rarer, and longer, trainings become from one milestone to the next.
        rungs: how many milestones there are at most.
    """

    def __init__(self, epochs: int, eta: int = 2, rungs: int = 3) -> None:
        places = {epochs // eta**k for k in range(1, rungs + 1)} - {0}
        self.eta = eta
        self._reached: dict[int, dict[str, float]] = {place: {} for place in sorted(places)}
        self._best: dict[str, float] = {}

    @property
    def milestones(self) -> tuple[int, ...]:
        """The epochs after which trainings are compared."""
        return tuple(self._reached)

    def ends(self, key: str, report: EpochReport) -> bool:
        """Tell whether a training ends after an epoch.

        Args:
            key: of the candidate that is trained.
            report: what the epoch showed, in order; a training that goes on from a checkpoint may
                tell an epoch again.
        """
        best = max(self._best.get(key, 0.0), report.validation_accuracy)
        self._best[key] = best
        there = self._reached.get(report.epoch)
        if there is None:
            return False
        there[key] = best
        better = sum(other > best for other in there.values())
        return better >= max(1, len(there) // self.eta)
