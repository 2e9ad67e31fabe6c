"""Rows by the page, for lists that are read whole and would be too long to be shown so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

Row = TypeVar("Row")


class Rows(NamedTuple, Generic[Row]):
    """The rows of one page.

    Attributes:
        items: The rows.
        total: How many there are on all pages.
        following: The number of the next page; None where this is the last.
    """

    items: Sequence[Row]
    total: int
    following: int | None


def rows_on(page: int, rows: Sequence[Row], most: int) -> Rows[Row]:
    """Return what stands on a page; one that there is not has no rows.

    Args:
        page: Its number, from 1.
        rows: All rows.
        most: Rows that a page has.
    """
    start = (max(1, page) - 1) * most
    is_last = start + most >= len(rows)
    return Rows(rows[start : start + most], len(rows), None if is_last else max(1, page) + 1)
