"""Pieces of a search that are worth looking up in PostgreSQL's trigram index.

The index keeps a list of secrets per trigram. Asked for a text, it walks the lists of all its trigrams, and
some of them name nearly every secret. So a few rare ones are looked up instead, and whatever they name is
looked at again. Which are rare is told by a sample of the stored texts, spread over all of them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from strongroom.storage.engine import Connection
from strongroom.storage.repositories.rows import like_pattern
from strongroom.storage.statements import Statement

SAMPLED_FROM: Final = 20_000
"""Smaller stores are searched in less time than the sample takes."""
SAMPLES: Final = 128
RARE_SHARE: Final = 0.05
TAKEN: Final = 3

# What the index knows: three letters or digits in a row, or two that end a word. Which letters beyond ASCII count
# depends on the database's locale, so they are left out. The start of a word would bring the list of its first letter.
_PIECE: Final = re.compile(r"(?=([a-z0-9]{3}|[a-z0-9]{2}[ -/:-@]))")

_LAST: Final = SAMPLES - 1
_SAMPLE: Final = Statement(
    "pieces.sample",
    lambda _: (
        "SELECT found.text FROM (SELECT min(pk) AS first, max(pk) AS last FROM secret_search) AS span "  # noqa: S608
        f"CROSS JOIN generate_series(0, {_LAST}) AS step CROSS JOIN LATERAL (SELECT text FROM secret_search "
        f"WHERE pk >= span.first + (span.last - span.first) * step / {_LAST} ORDER BY pk LIMIT 1) AS found"
    ),
)


def rare_pieces(connection: Connection, needle: str) -> dict[str, Any] | None:
    """Return the parameters that name the rarest pieces of the needle.

    Args:
        connection: of the unit.
        needle: folded text.

    Returns:
        ``None`` if it has less than two rare pieces: a single one is no better than the needle itself.
    """
    pieces = list(dict.fromkeys(_PIECE.findall(needle)))
    if len(pieces) < 2:
        return None
    texts = [text for (text,) in connection.rows(_SAMPLE)]
    seen = {piece: sum(piece in text for text in texts) for piece in pieces}
    rare = sorted((piece for piece in pieces if seen[piece] <= RARE_SHARE * len(texts)), key=seen.__getitem__)
    if len(rare) < 2:
        return None
    return {f"piece{i}": like_pattern(rare[min(i, len(rare) - 1)]) for i in range(TAKEN)}
