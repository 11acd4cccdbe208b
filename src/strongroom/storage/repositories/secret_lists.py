"""Pages of secrets: filtered, sorted, searched, with exact totals, at any offset.

Every list is one statement that takes the ids of the page from an index and joins the rows after.
Which index it walks is decided here, from the counters, and told to SQLite by name, so that the plan
does not depend on statistics. There are two ways, and the cheaper one is taken:

* *walk* the index of the wanted order, which also carries group and type, past what does not match;
* *gather* all matches through an index of the filter (or a label, or the trigrams) and sort them.

A page beyond the middle is walked from the other end. PostgreSQL chooses between the two by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from strongroom.domain.secrets.model import Secret, SecretQuery
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Page, Sort
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.repositories import pieces
from strongroom.storage.repositories.rows import TYPE_NUMBERS, fold, like_pattern, secret_of
from strongroom.storage.repositories.secret_list_statements import (
    KEYS,
    LABEL_SIZE,
    NEWEST,
    Filters,
    Find,
    Order,
    Shape,
    Way,
    count_statement,
    counters_statement,
    groups_statement,
    keys_within_a_type,
    page_statement,
)
from strongroom.storage.repositories.trigrams import selective_query
from strongroom.storage.statements import SQLITE, bucket, spread

SCAN_LIMIT_S: Final = 5.0
RARE_HITS: Final = 10_000
"""Up to so many candidates of the trigram index are looked at one by one."""

# What a step costs, in microseconds, measured at a million secrets; only the relations matter.
WALK_STEP: Final = 0.08
WALK_STEP_MANY: Final = 0.16
GATHER_NARROW: Final = 0.3
GATHER_ROW: Final = 1.8
PROBE: Final = 1.2
SCAN_STEP: Final = 0.2
RISK: Final = 0.05
"""How much of the worst case a walk is charged with: matches may all lie at the far end."""


class SecretLists:
    """Answers one list query on one connection.

    Args:
        connection: of the unit.
        pending: what the unit and its batch changed and did not store yet.
    """

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending
        self._is_sqlite = connection.dialect == SQLITE

    def page(self, query: SecretQuery) -> Page[Secret]:
        """Return the page.

        Raises:
            Invalid: ``invalid_field`` for a sort key that does not exist.
            Unavailable: a search that no index can answer took too long.
        """
        order = _order(query.sort)
        parameters: dict[str, Any] = {}
        groups = None if query.groups is None else group_numbers(self._connection, sorted(query.groups))
        types = None if query.secret_types is None else sorted(TYPE_NUMBERS[kind] for kind in query.secret_types)
        if groups == [] or types == []:
            return Page(items=(), total=0, limit=query.limit, offset=query.offset)
        if groups:
            parameters |= spread("group", groups)
        if types:
            parameters |= spread("type", types)
        filters = Filters(bucket(len(groups)) if groups else 0, bucket(len(types)) if types else 0)
        matching = self._matching(filters, parameters, groups, types)
        labels = self._labels_rarest_first(tuple(dict.fromkeys(query.labels)))
        parameters |= {f"label{i}": label for i, label in enumerate(labels)}
        filters = replace(filters, labels=len(labels))
        if query.search is not None:
            filters = self._search(filters, fold(query.search), parameters, everything=matching.everything)
        is_counted = not filters.labels and filters.find is Find.NOT
        total = matching.total if is_counted else self._count(filters, parameters)
        if total == matching.total:
            # Every secret in scope matches (a word that stands in all of them): nothing is left to look at.
            filters = replace(filters, labels=0, find=Find.NOT)
        elif not self._is_sqlite and filters.find is not Find.NOT:
            filters = replace(filters, find=_found_again(filters.find, total))
        size = min(query.limit, total - query.offset)
        if size <= 0:
            return Page(items=(), total=total, limit=query.limit, offset=query.offset)
        reverse = query.offset > total - query.offset - size
        near = total - query.offset - size if reverse else query.offset
        way = _way(filters, order, matching, total, near + size, has_text_index=not self._is_sqlite)
        rows = self._timed(
            filters,
            lambda: self._connection.rows(
                page_statement(Shape(way, filters, order, reverse)), limit=size, offset=near, **parameters
            ),
        )
        return Page(items=[secret_of(row) for row in rows], total=total, limit=query.limit, offset=query.offset)

    def _matching(
        self, filters: Filters, parameters: dict[str, Any], groups: Sequence[int] | None, types: Sequence[int] | None
    ) -> _Matching:
        """Read the counters, with what this unit and its batch did not store yet."""
        scope = Filters(filters.groups, filters.types)
        row = self._connection.row(counters_statement(scope), **parameters) or (0, 0, 0, 0)
        sums = [int(number) for number in row]
        for (group_no, type_no), delta in self._pending.waiting_counts().items():
            has_group, has_type = groups is None or group_no in groups, types is None or type_no in types
            for index, is_counted in enumerate((True, has_group, has_type, has_group and has_type)):
                sums[index] += delta if is_counted else 0
        return _Matching(*sums)

    def _labels_rarest_first(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Order labels so that the one that drives the list has the fewest secrets."""
        if len(labels) < 2:
            return labels
        counts = {label: self._connection.row(LABEL_SIZE, label=label, cap=RARE_HITS) or (0,) for label in labels}
        return tuple(sorted(labels, key=lambda label: int(counts[label][0])))

    def _search(self, filters: Filters, needle: str, parameters: dict[str, Any], *, everything: int) -> Filters:
        """Choose how to search, and add the parameters it takes."""
        find = Find.SCAN
        parameters["needle"] = needle
        if not self._is_sqlite:
            parameters["pattern"] = like_pattern(needle)
            if everything >= pieces.SAMPLED_FROM and (rare := pieces.rare_pieces(self._connection, needle)):
                parameters |= rare
                find = Find.PIECES
        elif not self._pending.has_texts:
            match = selective_query(self._connection, needle, cap=RARE_HITS)
            if match is not None:
                parameters["match"] = match
                find = Find.TRIGRAMS
        return replace(filters, find=find)

    def _count(self, filters: Filters, parameters: dict[str, Any]) -> int:
        row = self._timed(filters, lambda: self._connection.row(count_statement(filters), **parameters))
        return 0 if row is None else int(row[0])

    def _timed(self, filters: Filters, work: Callable[[], Any]) -> Any:
        """Run it with a time limit, if it may have to look at every secret."""
        if filters.find not in {Find.SCAN, Find.PIECES}:
            return work()
        self._connection.limit_time(SCAN_LIMIT_S)
        try:
            return work()
        finally:
            if self._is_sqlite:
                self._connection.limit_time(None)


def group_numbers(connection: Connection, groups: Sequence[str]) -> list[int]:
    """Return the numbers of those groups that exist."""
    if not groups:
        return []
    rows = connection.rows(groups_statement(bucket(len(groups))), **spread("id", groups))
    return sorted(int(row[0]) for row in rows)


@dataclass(frozen=True, slots=True)
class _Matching:
    """What the counters say: of everything, in the groups, of the types, in both."""

    everything: int
    in_groups: int
    of_types: int
    total: int


def _order(sort: Sort | None) -> Order:
    if sort is None:
        return NEWEST
    if sort.key not in KEYS:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"sort must be one of {', '.join(KEYS)}, with - before it to turn it round.",
            field="sort",
        )
    return Order(sort.key, sort.descending)


def _found_again(find: Find, total: int) -> Find:
    """Return how PostgreSQL finds the page of a search after it counted the hits."""
    if total > RARE_HITS:
        return Find.SCAN
    return Find.TRIGRAMS if find is Find.SCAN else find


def _way(filters: Filters, order: Order, matching: _Matching, total: int, steps: int, *, has_text_index: bool) -> Way:
    """Choose where the ids come from.

    Args:
        filters: the shape of the filters.
        order: the wanted order.
        matching: what the counters say.
        total: matches of all filters, at least one.
        steps: how many matches are passed from the nearer end up to the end of the page.
        has_text_index: whether looking through the texts can use an index (PostgreSQL).
    """
    if filters.find in {Find.TRIGRAMS, Find.PIECES}:
        return Way.TEXT
    # Matches lie evenly enough among everything that a walk passes.
    passed = min(matching.everything, steps * max(1, matching.everything // total))
    many = filters.groups > 1 or filters.types > 1
    probes = filters.labels + (filters.find is Find.SCAN)
    step = (WALK_STEP_MANY if many else WALK_STEP) + PROBE * probes
    is_whole = total == matching.everything
    costs = {Way.WALK: step * (passed if is_whole else passed + RISK * (matching.everything - passed))}
    is_narrow = order.key in {"newest", "secret_type"}
    per_match = GATHER_NARROW if is_narrow else GATHER_ROW
    if filters.find is Find.SCAN:
        if order == NEWEST:
            return Way.TEXT
        looks = total if has_text_index and total <= RARE_HITS else matching.everything
        costs[Way.TEXT] = looks * SCAN_STEP + total * GATHER_ROW
    elif filters.labels:
        if order.key == "newest":
            return Way.LABEL
        costs[Way.LABEL] = total * GATHER_ROW
    else:
        if filters.groups:
            ordered = filters.groups == 1 and order.key == "newest"
            share = max(1, matching.in_groups // total)
            costs[Way.GROUP] = steps * share * WALK_STEP if ordered else matching.in_groups * per_match
        if filters.types:
            ordered = filters.types == 1 and (is_narrow or order.key in keys_within_a_type(filters))
            share = max(1, matching.of_types // total)
            costs[Way.TYPE] = steps * share * WALK_STEP if ordered else matching.of_types * per_match
    return min(costs, key=lambda way: costs[way])
