"""Pages of secrets: filtered, sorted, searched, with exact totals, at any offset.

Every list is one statement that takes the ids of the page from an index and joins the rows after.
Which index it walks is decided here, from the counters, and told to SQLite by name, so that the plan
does not depend on statistics. There are two ways, and the cheaper one is taken:

* *walk* the index of the wanted order, which also carries group and type, past what does not match;
* *gather* all matches through an index of the filter (or a label, or the trigrams) and sort them.

A page beyond the middle is walked from the other end. PostgreSQL chooses between the two by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

from strongroom.domain.secrets.model import Secret, SecretQuery
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Page, Sort
from strongroom.storage.engine import Connection
from strongroom.storage.repositories.rows import (
    SECRET_COLUMNS,
    TYPE_NUMBERS,
    fold,
    like_pattern,
    secret_of,
    trigram_query,
)
from strongroom.storage.statements import SQLITE, Statement, bucket, one_of, sa, spread, tables

SCAN_LIMIT_S: Final = 5.0
RARE_HITS: Final = 10_000
"""Up to so many candidates of the trigram index are looked at one by one."""
TRIGRAM: Final = 3

# What a step costs, in microseconds, measured at a million secrets; only the relations matter.
WALK_STEP: Final = 0.08
WALK_STEP_MANY: Final = 0.16
GATHER_NARROW: Final = 0.3
GATHER_ROW: Final = 1.3
PROBE: Final = 1.2
SCAN_STEP: Final = 0.35


class Find(Enum):
    """How a search is answered."""

    NOT = "not"
    TRIGRAMS = "trigrams"
    SCAN = "scan"


class Way(Enum):
    """Where the ids of a page come from."""

    WALK = "walk"
    GROUP = "group"
    TYPE = "type"
    LABEL = "label"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Filters:
    """The shape of what is filtered by: how many values of each kind, in buckets."""

    groups: int = 0
    types: int = 0
    labels: int = 0
    find: Find = Find.NOT


@dataclass(frozen=True, slots=True)
class Order:
    """A sort key and the direction it is walked in."""

    key: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that the text of a list statement depends on."""

    way: Way
    filters: Filters
    order: Order
    reverse: bool
    """Whether the page is taken from the far end."""


NEWEST: Final = Order("newest", descending=True)
KEYS: Final = ("id", "created_at", "updated_at", "retrieved_at", "expiration_date", "secret_type", "name")


class SecretLists:
    """Answers one list query on one connection.

    Args:
        connection: of the unit.
        counts: reads the counters per group and type number.
        has_unindexed_texts: whether this unit changed search texts whose trigrams are not stored yet.
    """

    def __init__(
        self,
        connection: Connection,
        counts: Callable[[], Counter[tuple[int, int]]],
        *,
        has_unindexed_texts: bool,
    ) -> None:
        self._connection = connection
        self._counts = counts
        self._is_sqlite = connection.dialect == SQLITE
        self._has_unindexed_texts = has_unindexed_texts

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
        matching = _Matching(self._counts(), groups, types)
        labels = self._labels_rarest_first(tuple(dict.fromkeys(query.labels)))
        parameters |= {f"label{i}": label for i, label in enumerate(labels)}
        filters = Filters(bucket(len(groups)) if groups else 0, bucket(len(types)) if types else 0, len(labels))
        if query.search is not None:
            filters = self._search(filters, fold(query.search), parameters)
        is_counted = not filters.labels and filters.find is Find.NOT
        total = matching.total if is_counted else self._count(filters, parameters)
        size = min(query.limit, total - query.offset)
        if size <= 0:
            return Page(items=(), total=total, limit=query.limit, offset=query.offset)
        reverse = query.offset > total - query.offset - size
        near = total - query.offset - size if reverse else query.offset
        way = _way(filters, order, matching, total, near + size, has_text_index=not self._is_sqlite)
        rows = self._timed(
            filters,
            lambda: self._connection.rows(
                _page_statement(Shape(way, filters, order, reverse)), limit=size, offset=near, **parameters
            ),
        )
        return Page(items=[secret_of(row) for row in rows], total=total, limit=query.limit, offset=query.offset)

    def _labels_rarest_first(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Order labels so that the one that drives the list has the fewest secrets."""
        if len(labels) < 2:
            return labels
        counts = {label: self._connection.row(_LABEL_SIZE, label=label, cap=RARE_HITS) or (0,) for label in labels}
        return tuple(sorted(labels, key=lambda label: int(counts[label][0])))

    def _search(self, filters: Filters, needle: str, parameters: dict[str, Any]) -> Filters:
        """Choose how to search, and add the parameters it takes."""
        find = Find.SCAN
        if not self._is_sqlite:
            parameters["pattern"] = like_pattern(needle)
        else:
            parameters["needle"] = needle
            if len(needle) >= TRIGRAM and not self._has_unindexed_texts:
                match = trigram_query(needle)
                row = self._connection.row(_CANDIDATES, match=match, cap=RARE_HITS + 1)
                if row is not None and row[0] <= RARE_HITS:
                    parameters["match"] = match
                    find = Find.TRIGRAMS
        return Filters(filters.groups, filters.types, filters.labels, find)

    def _count(self, filters: Filters, parameters: dict[str, Any]) -> int:
        row = self._timed(filters, lambda: self._connection.row(_count_statement(filters), **parameters))
        return 0 if row is None else int(row[0])

    def _timed(self, filters: Filters, work: Callable[[], Any]) -> Any:
        """Run it with a time limit, if it may have to look at every secret."""
        if filters.find is not Find.SCAN:
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
    rows = connection.rows(_groups_statement(bucket(len(groups))), **spread("id", groups))
    return sorted(int(row[0]) for row in rows)


class _Matching:
    """What the counters say about the filters."""

    def __init__(
        self, counts: Counter[tuple[int, int]], groups: Sequence[int] | None, types: Sequence[int] | None
    ) -> None:
        self.everything = counts.total()
        in_groups = None if groups is None else set(groups)
        of_types = None if types is None else set(types)
        self.in_groups = self.of_types = self.total = 0
        for (group, kind), number in counts.items():
            has_group = in_groups is None or group in in_groups
            has_type = of_types is None or kind in of_types
            self.in_groups += number if has_group else 0
            self.of_types += number if has_type else 0
            self.total += number if has_group and has_type else 0


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
    if filters.find is Find.TRIGRAMS:
        return Way.TEXT
    # Matches lie evenly enough among everything that a walk passes.
    passed = min(matching.everything, steps * max(1, matching.everything // total))
    many = filters.groups > 1 or filters.types > 1
    probes = filters.labels + (filters.find is Find.SCAN)
    costs = {Way.WALK: passed * ((WALK_STEP_MANY if many else WALK_STEP) + PROBE * probes)}
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
            ordered = filters.types == 1 and is_narrow
            share = max(1, matching.of_types // total)
            costs[Way.TYPE] = steps * share * WALK_STEP if ordered else matching.of_types * per_match
    return min(costs, key=lambda way: costs[way])


_LABEL_SIZE: Final = Statement(
    "secret_lists.label_size",
    lambda _: sa.select(sa.func.count()).select_from(
        sa.select(tables.secret_labels.c.secret_pk)
        .where(tables.secret_labels.c.label == sa.bindparam("label"))
        .limit(sa.bindparam("cap", type_=sa.Integer))
        .subquery()
    ),
    prepare=False,
)
_CANDIDATES: Final = Statement(
    "secret_lists.candidates",
    lambda _: sa.text(
        "SELECT count(*) FROM (SELECT 1 FROM secret_trigrams WHERE secret_trigrams MATCH :match LIMIT :cap)"
    ),
)


@cache
def _groups_statement(size: int) -> Statement:
    return Statement(
        f"secret_lists.groups.{size}",
        lambda _: sa.select(tables.secret_groups.c.pk).where(one_of(tables.secret_groups.c.id, "id", size)),
    )


@cache
def _count_statement(filters: Filters) -> Statement:
    return Statement(f"secret_lists.count.{filters}", lambda dialect: _count_of(dialect, filters), prepare=False)


@cache
def _page_statement(shape: Shape) -> Statement:
    return Statement(f"secret_lists.page.{shape}", lambda dialect: _page_of(dialect, shape), prepare=False)


def _count_of(dialect: str, filters: Filters) -> sa.Select[Any]:
    source, pk = _label_source(filters) if filters.find is Find.NOT else _text_source(dialect, filters)
    return source.with_only_columns(sa.func.count(pk))


def _page_of(dialect: str, shape: Shape) -> sa.Select[Any]:
    """Return the statement of a page: ids first, then their rows."""
    filters, order = shape.filters, shape.order
    secrets = tables.secrets
    walks_down = order.descending != shape.reverse
    narrow: sa.FromClause = secrets
    if shape.way is Way.LABEL:
        source, pk = _label_source(filters)
    elif shape.way is Way.TEXT:
        source, pk = _text_source(dialect, filters)
    else:
        narrow = secrets.alias("narrow")
        pk = narrow.c.pk
        source = _indexed(_walk_source(dialect, filters, narrow), narrow, _index_of(shape.way, order))
    if order.key == "newest":
        keys: list[sa.ColumnElement[Any]] = [pk]
    else:
        if shape.way in {Way.LABEL, Way.TEXT}:
            narrow = secrets.alias("narrow")
            source = source.join(narrow, narrow.c.pk == pk)
        keys = [_key(narrow, order), pk]
    ids = (
        source.with_only_columns(pk.label("pk"))
        .order_by(*(key.desc() if walks_down else key for key in keys))
        .limit(sa.bindparam("limit", type_=sa.Integer))
        .offset(sa.bindparam("offset", type_=sa.Integer))
        .subquery("ids")
    )
    shown: list[sa.ColumnElement[Any]] = [secrets.c.pk]
    if order.key != "newest":
        shown.insert(0, _key(secrets, order))
    return (
        sa.select(*(secrets.c[name] for name in SECRET_COLUMNS))
        .join_from(ids, secrets, secrets.c.pk == ids.c.pk)
        .order_by(*(key.desc() if order.descending else key for key in shown))
    )


def _key(table: Any, order: Order) -> sa.ColumnElement[Any]:
    """Return what the order sorts by; a missing instant comes last in either direction."""
    match order.key:
        case "expiration_date":
            column = table.c.expires_at
        case "retrieved_at":
            column = table.c.retrieved_at
        case "secret_type":
            return table.c.type_no  # type: ignore[no-any-return]
        case key:
            return table.c[key]  # type: ignore[no-any-return]
    return tables.with_missing(column, last_descending=order.descending)


def _index_of(way: Way, order: Order) -> str:
    """Return the index that the way walks."""
    if way is Way.GROUP:
        return "ix_secrets_group"
    if way is Way.TYPE:
        return "ix_secrets_type"
    direction = "down" if order.descending else "up"
    return {
        "newest": "ix_secrets_newest",
        "secret_type": "ix_secrets_type",
        "expiration_date": f"ix_secrets_expires_{direction}",
        "retrieved_at": f"ix_secrets_retrieved_{direction}",
    }.get(order.key, f"ix_secrets_by_{order.key}")


def _indexed(source: sa.Select[Any], table: Any, index: str) -> sa.Select[Any]:
    return source.with_hint(table, f"INDEXED BY {index}", dialect_name=SQLITE)


def _walk_source(dialect: str, filters: Filters, narrow: Any) -> sa.Select[Any]:
    """Select from the index of the order, with everything else as a condition on each step."""
    source = _scoped(sa.select(narrow.c.pk), filters, narrow.c.group_no, narrow.c.type_no)
    source = _labelled(source, filters, narrow.c.pk)
    if filters.find is Find.SCAN:
        text = tables.secret_search.alias("found")
        # A scalar subquery, because both planners would turn EXISTS into a join that visits everything.
        hit = sa.select(_contains(dialect, text.c.text)).where(text.c.pk == narrow.c.pk).scalar_subquery()
        source = source.where(hit)
    return source


def _label_source(filters: Filters) -> tuple[sa.Select[Any], sa.ColumnElement[int]]:
    """Select from the first label, which has the fewest secrets."""
    first = tables.secret_labels.alias("labelled")
    source = sa.select(first.c.secret_pk).where(first.c.label == sa.bindparam("label0"))
    source = _scoped(source, filters, first.c.group_no, first.c.type_no)
    return _labelled(source, filters, first.c.secret_pk, start=1), first.c.secret_pk


def _text_source(dialect: str, filters: Filters) -> tuple[sa.Select[Any], sa.ColumnElement[int]]:
    """Select from the search texts, all or those that the trigrams name."""
    text = tables.secret_search.alias("found")
    source = sa.select(text.c.pk).select_from(text).where(_contains(dialect, text.c.text))
    if filters.find is Find.TRIGRAMS:
        hits = sa.text("SELECT rowid FROM secret_trigrams WHERE secret_trigrams MATCH :match")
        source = source.where(text.c.pk.in_(hits.columns(sa.column("rowid", sa.BigInteger)).scalar_subquery()))
    source = _scoped(source, filters, text.c.group_no, text.c.type_no)
    return _labelled(source, filters, text.c.pk), text.c.pk


def _contains(dialect: str, text: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    if dialect == SQLITE:
        return sa.func.instr(text, sa.bindparam("needle")) > sa.literal_column("0")
    return text.like(sa.bindparam("pattern"))


def _scoped(
    source: sa.Select[Any], filters: Filters, group_no: sa.ColumnElement[int], type_no: sa.ColumnElement[int]
) -> sa.Select[Any]:
    if filters.groups:
        source = source.where(one_of(group_no, "group", filters.groups))
    if filters.types:
        source = source.where(one_of(type_no, "type", filters.types))
    return source


def _labelled(source: sa.Select[Any], filters: Filters, pk: sa.ColumnElement[int], *, start: int = 0) -> sa.Select[Any]:
    for i in range(start, filters.labels):
        label = tables.secret_labels.alias(f"label_{i}")
        wanted: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            label.c.label == sa.bindparam(f"label{i}"), label.c.secret_pk == pk
        )
        source = source.where(wanted.exists())
    return source
