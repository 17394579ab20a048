"""Check names of columns and sort terms that a user writes, and explain DuckDB's errors."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from gtn_nas.errors import QueryError
from gtn_nas.ranking.columns import quoted
from gtn_nas.results.sandbox import first_line


def known(name: str, columns: Collection[str]) -> str:
    """Check that a column exists, and return its name.

    Raises:
        QueryError: there is no such column; the message suggests similar names.
    """
    if name in columns:
        return name
    near = difflib.get_close_matches(name, columns, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(columns)}"
    raise QueryError(f"unknown column {name!r}; {hint}")


def sort_terms(sort: str, columns: Collection[str]) -> str:
    """Return a user's sort terms as the terms of an SQL ``ORDER BY``.

    Args:
        sort: names of columns separated by commas, each with an optional ``asc`` or ``desc``.
        columns: the table's columns.

    Raises:
        QueryError: a term is something else, or names an unknown column.
    """
    terms = []
    for term in sort.split(","):
        found = re.fullmatch(r'\s*"?([^"]+?)"?(?:\s+(asc|desc))?\s*', term, re.IGNORECASE)
        if found is None:
            raise QueryError(f"cannot sort by {sort!r}; write e.g. 'params, proxy_accuracy DESC'")
        terms.append(f"{quoted(known(found[1], columns))} {found[2] or 'ASC'} NULLS LAST")
    return ", ".join(terms)


def explained(error: Exception) -> str:
    """Return in one line what is wrong with a query, with similar names for an unknown column."""
    text = str(error)
    unknown = re.search(r'(?:Referenced column|a column named) "([^"]+)"', text)
    nearest = re.search(r"Candidate bindings: (.+)", text)
    if unknown and nearest:
        names = re.findall(r'"([^"]+)"', nearest[1])
        return f"unknown column {unknown[1]!r}; did you mean {', '.join(names[:3])}?"
    if "pytz" in text:
        return "a column of the result has a time zone; cast it: (...)::TIMESTAMP"
    return first_line(error)
