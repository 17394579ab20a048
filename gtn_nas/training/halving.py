"""Asynchronous successive halving of full trainings: those that are behind end early."""

from __future__ import annotations

from gtn_nas.training.train import EpochReport


class Halving:
    """Decides after certain epochs, the milestones, whether a training goes on.

    At a milestone, a training ends if its best validation accuracy so far is not among the best
    ``1 / eta`` of the trainings that have reached this milestone, itself included. The first
    training to arrive always goes on, so no training waits for slower ones.

    Source: Li et al. 2020, arXiv 1810.05934, section 3 (asynchronous successive halving), in the
    form that stops trainings instead of promoting them.

    Args:
        epochs: epochs of a whole training.
        eta: reduction factor: the next milestone is at ``eta`` times as many epochs, and about one
            in ``eta`` trainings goes on to it.
        rungs: largest number of milestones.
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
            key: key of the candidate that is trained.
            report: report of the epoch. Epochs come in order, but a training that continues from a
                saved state may report an epoch again.
        """
        best = max(self._best.get(key, 0.0), report.validation_accuracy)
        self._best[key] = best
        there = self._reached.get(report.epoch)
        if there is None:
            return False
        there[key] = best
        better = sum(other > best for other in there.values())
        return better >= max(1, len(there) // self.eta)
