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
from enum import Enum
from functools import cache
from typing import Any, Final

from strongroom.domain.secrets.model import Secret, SecretQuery
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Page, Sort
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import (
    SECRET_COLUMNS,
    TYPE_NUMBERS,
    fold,
    like_pattern,
    secret_of,
)
from strongroom.storage.repositories.trigrams import selective_query
from strongroom.storage.statements import SQLITE, Statement, bucket, one_of, sa, spread, tables

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
            filters = self._search(filters, fold(query.search), parameters)
        is_counted = not filters.labels and filters.find is Find.NOT
        total = matching.total if is_counted else self._count(filters, parameters)
        if total == matching.total:
            # Every secret in scope matches (a word that stands in all of them): nothing is left to look at.
            filters = replace(filters, labels=0, find=Find.NOT)
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

    def _matching(
        self, filters: Filters, parameters: dict[str, Any], groups: Sequence[int] | None, types: Sequence[int] | None
    ) -> _Matching:
        """Read the counters, with what this unit and its batch did not store yet."""
        scope = Filters(filters.groups, filters.types)
        row = self._connection.row(_counters_statement(scope), **parameters) or (0, 0, 0, 0)
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
        counts = {label: self._connection.row(_LABEL_SIZE, label=label, cap=RARE_HITS) or (0,) for label in labels}
        return tuple(sorted(labels, key=lambda label: int(counts[label][0])))

    def _search(self, filters: Filters, needle: str, parameters: dict[str, Any]) -> Filters:
        """Choose how to search, and add the parameters it takes."""
        find = Find.SCAN
        if not self._is_sqlite:
            parameters["pattern"] = like_pattern(needle)
        else:
            parameters["needle"] = needle
            if not self._pending.has_texts:
                match = selective_query(self._connection, needle, cap=RARE_HITS)
                if match is not None:
                    parameters["match"] = match
                    find = Find.TRIGRAMS
        return replace(filters, find=find)

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
            ordered = filters.types == 1 and (is_narrow or order.key in _keys_within_a_type(filters))
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


@cache
def _counters_statement(scope: Filters) -> Statement:
    def build(_: str) -> sa.Executable:
        counts = tables.secret_counts.c
        has_group = one_of(counts.group_no, "group", scope.groups) if scope.groups else sa.true()
        has_type = one_of(counts.type_no, "type", scope.types) if scope.types else sa.true()
        zero: sa.ColumnElement[int] = sa.literal_column("0")
        conditions = (sa.true(), has_group, has_type, sa.and_(has_group, has_type))
        return sa.select(
            *(
                sa.func.coalesce(sa.func.sum(sa.case((condition, counts.total), else_=zero)), zero)
                for condition in conditions
            )
        )

    return Statement(f"secret_lists.counters.{scope}", build)


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
        source = _indexed(_walk_source(dialect, filters, narrow), narrow, _index_of(shape))
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


def _index_of(shape: Shape) -> str:
    """Return the index that is walked."""
    key, filters = shape.order.key, shape.filters
    if shape.way is Way.GROUP:
        return "ix_secrets_group"
    direction = "down" if shape.order.descending else "up"
    if shape.way is Way.TYPE:
        if filters.types != 1 or key not in _keys_within_a_type(filters):
            return "ix_secrets_type"
        return "uq_secrets_type_name" if key == "name" else f"ix_secrets_type_expires_{direction}"
    return {
        "newest": "ix_secrets_newest",
        "secret_type": "ix_secrets_type",
        "expiration_date": f"ix_secrets_expires_{direction}",
        "retrieved_at": f"ix_secrets_retrieved_{direction}",
    }.get(key, f"ix_secrets_by_{key}")


def _keys_within_a_type(filters: Filters) -> frozenset[str]:
    """Return the orders that one type has an index for."""
    # The one for names is there to keep them unique; it does not carry groups.
    return frozenset({"expiration_date"} if filters.groups else {"expiration_date", "name"})


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
