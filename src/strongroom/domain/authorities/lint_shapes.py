"""Which certificates the linter says the same about, and what it said of them today.

Linting costs more than issuing, so at the level ``warn`` one certificate of each shape is looked at a day.
Source: design, section 3 ("lint").
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from typing import Final

from strongroom.domain.authorities.context import NamedAuthority
from strongroom.domain.configurations.model import Configuration
from strongroom.pki.draft import Draft
from strongroom.pki.inspect import name_public_key
from strongroom.pki.name_kinds import name_kinds

Findings = Sequence[dict[str, str]]

_MOST_SHAPES: Final = 1000
"""Kept at once. Each is a template in one state, so a thousand of them are no ordinary day."""


def shape_of(draft: Draft, template: Configuration, issuer: NamedAuthority) -> str:
    """Return what decides over the findings: template and authority in their present state, key, kinds of names."""
    return "/".join(
        (
            f"{template.id}.{template.row_version}",
            f"{issuer.authority.id}.{issuer.configuration.row_version}",
            name_public_key(draft.public_key),
            *sorted(set(name_kinds(draft))),
        )
    )


class KnownFindings:
    """Remembers the findings of a day, by shape. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._day: date | None = None
        self._findings: dict[str, Findings] = {}

    def find(self, shape: str, day: date) -> Findings | None:
        """Return what was found on that day; ``None`` if nobody has looked yet."""
        with self._lock:
            return self._findings.get(shape) if day == self._day else None

    def keep(self, shape: str, day: date, findings: Findings) -> None:
        """Remember what was found; what was found on another day is forgotten."""
        with self._lock:
            if day != self._day or len(self._findings) >= _MOST_SHAPES:
                self._day, self._findings = day, {}
            self._findings[shape] = findings
