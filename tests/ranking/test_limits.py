import math

import pytest

from gtn_nas.errors import ConfigError
from gtn_nas.ranking.limits import Limit

from ..results.samples import record


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("params<=100000", Limit("params", "<=", 100000.0)),
        (" proxy_accuracy >= .5 ", Limit("proxy_accuracy", ">=", 0.5)),
        ("latency_ms<=1e-3", Limit("latency_ms", "<=", 0.001)),
        ("params<=100_000", Limit("params", "<=", 100000.0)),
        ("change<=-2", Limit("change", "<=", -2.0)),
    ],
)
def test_a_limit_is_read_as_it_is_written(text, limit):
    assert Limit.parse(text) == limit


NO_LIMITS = """
params | params<5 | params=5 | params<= | <=5 | params<=many | params<=nan | params<=inf
| 5<=params<=9 | params<==5 | params<=5 OR 1=1 |
"""


@pytest.mark.parametrize("text", NO_LIMITS.split("|"))
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match=r"is no limit; write .*'params<=100000'"):
        Limit.parse(text)


def test_a_violation_is_a_share_of_the_bound():
    at_most, at_least = Limit.parse("params<=2000"), Limit.parse("params>=2000")
    within, on, beyond = (record(0, params=n) for n in (1000, 2000, 3000))
    assert [at_most.violation(r) for r in (within, on, beyond)] == [-0.5, 0.0, 0.5]
    assert [at_least.violation(r) for r in (within, on, beyond)] == [0.5, 0.0, -0.5]
    assert Limit.parse("params<=0").violation(within) == 1000


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_has_no_finite_value_is_beyond_every_limit(value):
    for text in ("proxy_loss<=1", "proxy_loss>=1", "synflow>=1", "no_such_column<=1"):
        candidate = record(0, proxy_loss=value, extra={"synflow": math.nan})
        assert Limit.parse(text).violation(candidate) == math.inf
