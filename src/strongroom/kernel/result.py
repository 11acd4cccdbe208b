"""Small value types shared by every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Json = dict[str, Any]
"""A JSON object as Python sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: at most ``limit`` of them.
        total: every match of the filters, exact.
        limit: page size that was asked for.
        offset: how many matches come before ``items``.
    """

    items: Sequence[T]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """A sort key by its API name, and its direction."""

    key: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth telling that does not stop the request."""

    code: str
    message: str
