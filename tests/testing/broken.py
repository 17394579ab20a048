"""Strategies that break one rule each, in a module that any process can import."""

import itertools
import random
from dataclasses import replace

from gtn_nas.architecture import Architecture
from gtn_nas.strategies.base import Strategy
from gtn_nas.strategies.random_search import RandomSearch
from gtn_nas.trial import Status, Trial

COUNTER = itertools.count()


class OfItsOwnRandomness(RandomSearch):
    def propose(self, rng):
        return super().propose(random.Random(next(COUNTER)))


class CountsCalls(RandomSearch):
    """Every call of tell shifts what it draws."""

    calls = 0

    def tell(self, records):
        self.calls += 1

    def propose(self, rng):
        return super().propose(random.Random(f"{rng.random()}{self.calls}"))


class AsksInBatches(RandomSearch):
    """The first of every batch is drawn by the size of the batch."""

    def ask(self, n, *, new=True):
        asked = super().ask(n, new=new)
        if n > 1:
            first = self.space.sample(random.Random(n))
            asked[0] = replace(asked[0], architecture=first)
        return asked


class NotCanonical(RandomSearch):
    def propose(self, rng):
        drawn = {name: rng.choice(options) for name, options in self.space.choices.items()}
        return Trial(Architecture(self.space.name, drawn), self.budget)


class BeyondTheBudget(RandomSearch):
    def propose(self, rng):
        return Trial(self.space.sample(rng), self.budget + 1)


class WithoutABudget(RandomSearch):
    def propose(self, rng):
        return Trial(self.space.sample(rng), 0)


class Unnumbered(RandomSearch):
    def ask(self, n, *, new=True):
        return [replace(trial, ask_index=0) for trial in super().ask(n, new=new)]


class PromotesStrangers(RandomSearch):
    """It promotes what it never asked for."""

    def ask(self, n, *, new=True):
        self.promotes = not new
        return super().ask(n, new=new)

    def promote(self):
        stranger = self.space.sample(random.Random("stranger"))
        return Trial(stranger, self.budget) if self.promotes else None


class PromotesForEver(RandomSearch):
    """It promotes the latest architecture again and again."""

    known = None

    def propose(self, rng):
        return Trial(self.space.sample(rng), self.budget // 2)

    def ask(self, n, *, new=True):
        self.promotes = not new
        return super().ask(n, new=new)

    def tell(self, records):
        self.known = records[-1] if records else self.known

    def promote(self):
        return Trial(self.known.architecture, self.budget) if self.known and self.promotes else None


class NeedsScores(RandomSearch):
    best = 0.0

    def tell(self, records):
        for record in records:
            self.best = max(self.best, record.proxy_accuracy)


class GivesUp(RandomSearch):
    """After a failure it proposes the same over and over."""

    failed = False

    def tell(self, records):
        self.failed = self.failed or any(r.status is not Status.OK for r in records)

    def propose(self, rng):
        return super().propose(random.Random(0) if self.failed else rng)


class OfHashes(RandomSearch):
    """Strings have other hashes in another process."""

    def propose(self, rng):
        return super().propose(random.Random(hash("seed") ^ rng.getrandbits(30)))


class NeedsTorch(RandomSearch):
    def propose(self, rng):
        import torch

        return super().propose(random.Random(torch.tensor(rng.getrandbits(30)).item()))


class Abstract(Strategy):
    """It is no whole strategy."""
