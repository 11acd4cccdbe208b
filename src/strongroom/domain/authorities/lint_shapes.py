"""Which certificates the linter says the same about, and what it said of them today.

Linting costs more than issuing, so at the level ``warn`` one certificate of each shape is looked at a day.
Source: design, section 3 ("lint").
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from strongroom.domain.authorities.context import NamedAuthority
from strongroom.domain.configurations.model import Configuration
from strongroom.pki.draft import Draft
from strongroom.pki.inspect import name_public_key
from strongroom.pki.names import NameProblem, check_host

Findings = Sequence[dict[str, str]]

_MOST_SHAPES: Final = 1000
"""Kept at once. Each is a template in one state, so a thousand of them are no ordinary day."""
_LONG_COMMON_NAME: Final = 64
"""RFC 5280 appendix A.1 (``ub-common-name``); the compatible API takes longer ones."""


def shape_of(draft: Draft, template: Configuration, issuer: NamedAuthority) -> str:
    """Return what decides over the findings: template and authority in their present state, key, kinds of names."""
    return "/".join(
        (
            f"{template.id}.{template.row_version}",
            f"{issuer.authority.id}.{issuer.configuration.row_version}",
            name_public_key(draft.public_key),
            *sorted(set(_kinds(draft))),
        )
    )


def _kinds(draft: Draft) -> Iterator[str]:
    for attribute in draft.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield "long-cn" if len(attribute.value) > _LONG_COMMON_NAME else "cn"
    for extension in draft.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            yield from map(_kind, extension.value)


def _kind(name: x509.GeneralName) -> str:
    match name:
        case x509.DNSName(value=text):
            return f"{'wildcard' if text.startswith('*') else 'host'}{'' if _is_host(text) else '-odd'}"
        case x509.IPAddress(value=address):
            return f"ip{address.version}"
        case _:
            return type(name).__name__.lower()


def _is_host(text: str) -> bool:
    try:
        check_host(text)
    except NameProblem:
        return False
    return True


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
