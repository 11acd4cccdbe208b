"""Candidates for a search from SQLite's trigram index.

The index knows which secrets contain a trigram, not where. So a query asks for a few trigrams of the
needle at once and whatever it names is looked at again. Some trigrams stand in every secret and would
make the database read lists of a million numbers: the rarest are taken, by how far into the store the
first hundred hits of each reach.
"""

from __future__ import annotations

from typing import Final

from strongroom.storage.engine import Connection
from strongroom.storage.statements import Statement, sa

SIZE: Final = 3
"""Characters of a trigram; shorter needles cannot be looked up."""
SAMPLE: Final = 100
LOOKED_AT: Final = 32
TAKEN: Final = 3

_REACH: Final = Statement(
    "trigrams.reach",
    lambda _: sa.text(
        "SELECT rowid FROM secret_trigrams WHERE secret_trigrams MATCH :match ORDER BY rowid LIMIT 1 OFFSET :sample"
    ),
)
_CANDIDATES: Final = Statement(
    "trigrams.candidates",
    lambda _: sa.text(
        "SELECT count(*) FROM (SELECT 1 FROM secret_trigrams WHERE secret_trigrams MATCH :match LIMIT :cap)"
    ),
)


def selective_query(connection: Connection, needle: str, *, cap: int) -> str | None:
    """Return the FTS5 query for secrets that may contain the needle.

    Args:
        connection: of the unit.
        needle: folded text.
        cap: most candidates worth looking at one by one.

    Returns:
        ``None`` if the needle is too short, or would name more than ``cap`` candidates.
    """
    if len(needle) < SIZE:
        return None
    match = " AND ".join(_quoted(trigram) for trigram in _rarest(connection, needle))
    row = connection.row(_CANDIDATES, match=match, cap=cap + 1)
    return None if row is not None and row[0] > cap else match


def _rarest(connection: Connection, needle: str) -> list[str]:
    trigrams = list(dict.fromkeys(needle[i : i + SIZE] for i in range(len(needle) - SIZE + 1)))
    step = -(-len(trigrams) // LOOKED_AT)
    reaches: list[tuple[int, str]] = []
    for trigram in trigrams[::step]:
        row = connection.row(_REACH, match=_quoted(trigram), sample=SAMPLE - 1)
        if row is None:
            # Fewer than a hundred secrets have it: nothing can be rarer by much.
            return [trigram]
        reaches.append((int(row[0]), trigram))
    reaches.sort(reverse=True)
    return [trigram for _, trigram in reaches[:TAKEN]]


def _quoted(trigram: str) -> str:
    return '"' + trigram.replace('"', '""') + '"'
