"""What ACME servers say went wrong, made into our own errors. Sources: RFC 8555 section 6.7, RFC 9457.

Their words are shown to users and stored with secrets, so they are cleaned and cut here. Nothing is taken to have the
shape it should have.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from strongroom.domain.orders.acme import AcmeProblem, UnusableAnswer
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.kernel.value import value

MALFORMED: Final = "malformed"
RATE_LIMITED: Final = "rateLimited"
MAX_TEXT: Final = 500

_MAX_SUBPROBLEMS: Final = 100
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
_BUSY: Final = (408, 425)
"""Not errors of the request: the same one may be sent again. Sources: RFC 9110 section 15.5.9, RFC 8470."""


@value
class Problem:
    """A problem document.

    Attributes:
        type: last part of its URN.
        text: its detail, and each subproblem's after the name that it is about.
        identifiers: the names of the subproblems.
    """

    type: str
    text: str
    identifiers: tuple[str, ...] = ()


def clean(text: object, limit: int = MAX_TEXT) -> str:
    """Return a text of others on one line, without control characters, cut to a length."""
    if not isinstance(text, str):
        return ""
    # The longest text that could be left is looked at, not the whole of it.
    visible = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text[: 4 * limit])
    line = " ".join(visible.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def malformed(host: str, what: str) -> UnusableAnswer:
    """Return the error for an answer that is not what RFC 8555 says."""
    return UnusableAnswer(f"the ACME server {host} answered what cannot be used: {what}", problem_type=MALFORMED)


def read_problem(document: object) -> Problem | None:
    """Read a problem document, also one inside an order or a challenge; ``None`` if it is none."""
    if not isinstance(document, Mapping):
        return None
    type_name = _type_name(document.get("type"))
    if type_name is None:
        return None
    lines = [clean(document.get("detail")) or clean(document.get("title")) or type_name]
    identifiers: list[str] = []
    inner_types: list[str] = []
    subproblems = document.get("subproblems")
    for item in subproblems[:_MAX_SUBPROBLEMS] if isinstance(subproblems, list) else ():
        if not isinstance(item, Mapping):
            continue
        inner_types.append(_type_name(item.get("type")) or MALFORMED)
        text = clean(item.get("detail")) or inner_types[-1]
        name = _identifier(item.get("identifier"))
        if name:
            identifiers.append(name)
        lines.append(f"{name}: {text}" if name else text)
    if type_name == "compound" and len(set(inner_types)) == 1:
        type_name = inner_types[0]
    return Problem(type=type_name, text=clean("; ".join(lines)), identifiers=tuple(dict.fromkeys(identifiers)))


def refusal(host: str, status: int, body: bytes, retry_after: timedelta | None) -> AcmeProblem | Unavailable:
    """Return the error for an answer that is no success."""
    problem = _problem_of(body)
    if status >= 500 or status in _BUSY:
        said = f": {problem.text}" if problem else ""
        return Unavailable(
            ErrorCode.UNAVAILABLE, f"The ACME server {host} answers {status}{said}", retry_after=retry_after
        )
    if 300 <= status < 400:
        return malformed(host, f"a redirect ({status}); redirects are not followed")
    if problem is None:
        if status == 429:
            problem = Problem(type=RATE_LIMITED, text=f"the ACME server {host} answers 429: too many requests")
        else:
            return malformed(host, f"status {status} without a problem document")
    return AcmeProblem(
        problem.text,
        problem_type=problem.type,
        identifiers=problem.identifiers,
        status=status,
        retry_after=retry_after,
    )


def load_json(body: bytes) -> Any:
    """Parse JSON of others.

    Raises:
        ValueError: it is none, or is nested too deep.
    """
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _problem_of(body: bytes) -> Problem | None:
    try:
        return read_problem(load_json(body))
    except ValueError:
        return None


def _type_name(urn: object) -> str | None:
    """Return the last part of a URN, or of a URL: some servers have types of their own."""
    if not isinstance(urn, str):
        return None
    last = re.split(r"[:/#]", urn)[-1]
    return last if ":" in urn and _TYPE.fullmatch(last) else None


def _identifier(document: object) -> str:
    return clean(document.get("value"), 255).lower() if isinstance(document, Mapping) else ""
