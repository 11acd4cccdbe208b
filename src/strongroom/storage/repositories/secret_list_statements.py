"""The statements of secret lists: one per shape, each taking the ids of its page from an index first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

from strongroom.storage.repositories.pieces import TAKEN as PIECES_TAKEN
from strongroom.storage.repositories.rows import SECRET_COLUMNS
from strongroom.storage.statements import SQLITE, Statement, one_of, sa, tables


class Find(Enum):
    """How a search is answered.

    ``TRIGRAMS`` takes few candidates from the index of trigrams, ``PIECES`` those that a few rare pieces of the
    text name (PostgreSQL), ``SCAN`` leaves the way to the database.
    """

    NOT = "not"
    TRIGRAMS = "trigrams"
    PIECES = "pieces"
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


LABEL_SIZE: Final = Statement(
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
def counters_statement(scope: Filters) -> Statement:
    """Return the statement that sums the counters: all, of the groups, of the types, of both."""

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
def groups_statement(size: int) -> Statement:
    """Return the statement that finds the numbers of groups."""
    return Statement(
        f"secret_lists.groups.{size}",
        lambda _: sa.select(tables.secret_groups.c.pk).where(one_of(tables.secret_groups.c.id, "id", size)),
    )


@cache
def count_statement(filters: Filters) -> Statement:
    """Return the statement that counts what matches labels and search."""
    return Statement(f"secret_lists.count.{filters}", lambda dialect: _count_of(dialect, filters), prepare=False)


@cache
def page_statement(shape: Shape) -> Statement:
    """Return the statement of one page."""
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
        source = _indexed(_walk_source(dialect, filters, narrow), narrow, index_of(shape))
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


def index_of(shape: Shape) -> str:
    """Return the index that is walked."""
    key, filters = shape.order.key, shape.filters
    if shape.way is Way.GROUP:
        return "ix_secrets_group"
    direction = "down" if shape.order.descending else "up"
    if shape.way is Way.TYPE:
        if filters.types != 1 or key not in keys_within_a_type(filters):
            return "ix_secrets_type"
        return "uq_secrets_type_name" if key == "name" else f"ix_secrets_type_expires_{direction}"
    return {
        "newest": "ix_secrets_newest",
        "secret_type": "ix_secrets_type",
        "expiration_date": f"ix_secrets_expires_{direction}",
        "retrieved_at": f"ix_secrets_retrieved_{direction}",
    }.get(key, f"ix_secrets_by_{key}")


def keys_within_a_type(filters: Filters) -> frozenset[str]:
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
    """Select from the search texts, all or those that trigrams name."""
    text = tables.secret_search.alias("found")
    source = sa.select(text.c.pk).select_from(text)
    if filters.find is Find.PIECES:
        source = source.where(*(text.c.text.like(sa.bindparam(f"piece{i}")) for i in range(PIECES_TAKEN)))
        # In words that no index serves: the pattern would be looked up as well.
        source = source.where(sa.func.strpos(text.c.text, sa.bindparam("needle")) > sa.literal_column("0"))
    else:
        source = source.where(_contains(dialect, text.c.text))
    if filters.find is Find.TRIGRAMS and dialect == SQLITE:
        hits = sa.text("SELECT rowid FROM secret_trigrams WHERE secret_trigrams MATCH :match")
        source = source.where(text.c.pk.in_(hits.columns(sa.column("rowid", sa.BigInteger)).scalar_subquery()))
    source = _scoped(source, filters, text.c.group_no, text.c.type_no)
    source = _labelled(source, filters, text.c.pk)
    if filters.find in {Find.TRIGRAMS, Find.PIECES} and dialect != SQLITE:
        # Found as a whole first: asked for a few in order, PostgreSQL would walk all texts instead.
        found = source.cte("hits").prefix_with("MATERIALIZED")
        return sa.select(found.c.pk), found.c.pk
    return source, text.c.pk


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
