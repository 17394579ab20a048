"""Checks for strategies and search spaces of your own; they need no test framework.

A check raises an ``AssertionError`` that says which rule is broken, and where::

    from gtn_nas.testing.strategies import check_strategy
    from my_strategies import MyStrategy

    def test_my_strategy():
        check_strategy(MyStrategy)
"""

from __future__ import annotations


def require(condition: object, message: str) -> None:
    """Raise an ``AssertionError`` with a message unless a condition holds, even with ``-O``."""
    if not condition:
        raise AssertionError(message)
