"""What SQLAlchemy and Alembic would make at start, made beforehand and kept as text.

One file per database: the statements that create an empty store, and the ordinary queries. They are
generated (``python -m tools.generated --write``) and carry the digest of the sources they were made
from; with other sources they are ignored, and everything is built as it is needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
STORAGE: Final = FOLDER.parent
WITHOUT_STATEMENTS: Final = frozenset({"engine.py", "postgresql.py", "sqlite.py", "store.py", "unit.py"})
_NOTHING: Final[Mapping[str, Any]] = {"statements": {}, "schema": []}


def digest_of_sources() -> str:
    """Return the digest of everything that statements and migrations are made from."""
    digest = hashlib.sha256()
    sources = [*STORAGE.glob("*.py"), *STORAGE.glob("repositories/*.py"), *STORAGE.glob("migrations/**/*.py")]
    for path in sorted(sources, key=lambda path: path.relative_to(STORAGE).as_posix()):
        if path.name not in WITHOUT_STATEMENTS:
            digest.update(path.relative_to(STORAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def _read(dialect: str) -> Mapping[str, Any]:
    try:
        document: dict[str, Any] = json.loads((FOLDER / f"{dialect}.json").read_text(encoding="utf-8"))
        if document["sources"] == digest_of_sources():
            return document
    except (OSError, ValueError, KeyError):
        # Left out of a package, or half written: everything is built as it is needed.
        return _NOTHING
    return _NOTHING


def compiled_texts(dialect: str) -> Mapping[str, str]:
    """Return the texts of ordinary statements by name; none if they are not current."""
    texts: Mapping[str, str] = _read(dialect)["statements"]
    return texts


def compiled_schema(dialect: str) -> Sequence[str]:
    """Return what creates an empty store, in order; nothing if it is not current."""
    schema: Sequence[str] = _read(dialect)["schema"]
    return schema
