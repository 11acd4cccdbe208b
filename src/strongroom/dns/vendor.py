"""Conversation with the API of one vendor: its refusals are told apart here, and put in our words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from strongroom.domain.orders.dns import DnsProblem, DnsRefusal
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.kernel.secret import STARS, scrub

if TYPE_CHECKING:
    from strongroom.net.client import Answer, HttpClient

ZONES: Final = "zones"
PRESENT: Final = "present"
CLEANUP: Final = "cleanup"

_TIMEOUT: Final = timedelta(seconds=30)
_MOST_BYTES: Final = 8 * 1024 * 1024
_SHOWN: Final = 300
_SERVER_ERRORS: Final = 500
_TOO_MANY: Final = 429
_REDIRECTS: Final = 300


class Vendor:
    """Asks one vendor.

    Args:
        http: the guarded client.
        name: of the vendor, as users know it.
        base_url: without a slash at the end.
        is_operators: whether the address comes from us or the operator, not from a user.
        allow_http: whether a user may name an address without TLS.
        secrets: what must not come back to anyone in the vendor's messages.
        message: finds the vendor's own words in an answer that is an error.
        is_meant: tells whether an answer with a 5xx status is a refusal nevertheless.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        name: str,
        base_url: str,
        is_operators: bool,
        allow_http: bool = False,
        secrets: Sequence[str],
        message: Callable[[Answer], str],
        is_meant: Callable[[Answer], bool] | None = None,
    ) -> None:
        self._http = http
        self.name = name
        self.base_url = base_url
        self._is_operators = is_operators
        self._allow_http = allow_http
        self._secrets = tuple(secret for secret in secrets if secret)
        self._message = message
        self._is_meant = is_meant

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
    ) -> Answer:
        """Send a request; return the answer whatever its status.

        Args:
            method: in capitals.
            target: path and query, encoded.
            headers: all that it needs.
            body: of the request.

        Raises:
            Unavailable: the vendor cannot be reached or takes too long, or answers 5xx or 429.
        """
        answer = self._http.request(
            method,
            self.base_url + target,
            headers=headers,
            content=body or None,
            timeout=_TIMEOUT,
            max_bytes=_MOST_BYTES,
            is_operators=self._is_operators,
            allow_http=self._allow_http,
        )
        if answer.status == _TOO_MANY:
            raise self.unavailable("answers 429, too many requests", answer)
        if answer.status >= _SERVER_ERRORS and not (self._is_meant and self._is_meant(answer)):
            raise self.unavailable(f"answers {answer.status}", answer)
        return answer

    def unavailable(self, what: str, answer: Answer) -> Unavailable:
        """Return the error for an answer that another try may better."""
        detail = f"{self.name} {what}{self._words(answer)}"
        return Unavailable(ErrorCode.UNAVAILABLE, detail, retry_after=answer.retry_after)

    def refuse(self, answer: Answer, step: str, what: str) -> DnsProblem:
        """Return the problem that an answer with an error status stands for.

        Args:
            answer: with a status from 300 on, or one that says no in its body.
            step: what was asked.
            what: the same in words: ``list its zones``.
        """
        if answer.status in {401, 403}:
            return self.not_authorised(f"may not {what}", step, answer)
        if _REDIRECTS <= answer.status < 400:
            return self.error(f"answers {answer.status}, a redirect, when asked to {what}", step)
        return self.error(f"answers {answer.status} when asked to {what}", step, answer)

    def not_authorised(self, what: str, step: str, answer: Answer | None = None) -> DnsProblem:
        """Return the problem of credentials that are wrong, or not enough."""
        words = self._words(answer) if answer else ""
        return DnsProblem(f"{self.name}: the credential {what}{words}", refusal=DnsRefusal.AUTHORIZATION, step=step)

    def error(self, what: str, step: str, answer: Answer | None = None) -> DnsProblem:
        """Return the problem of an answer that is none of the others."""
        words = self._words(answer) if answer else "."
        return DnsProblem(f"{self.name} {what}{words}", refusal=DnsRefusal.ERROR, step=step)

    def no_zone(self, name: str, step: str) -> DnsProblem:
        """Return the problem of a name that lies in no zone of the account."""
        return DnsProblem(
            f'{self.name}: none of the zones that the credential may see holds "{name}".',
            refusal=DnsRefusal.NO_ZONE,
            step=step,
        )

    def unknown_zone(self, what: str, step: str, answer: Answer) -> DnsProblem:
        """Return the problem of a zone that the vendor does not know, or not any more."""
        return DnsProblem(
            f"{self.name} does not know the zone when asked to {what}{self._words(answer)}",
            refusal=DnsRefusal.NO_ZONE,
            step=step,
        )

    def json(self, answer: Answer, step: str) -> Any:
        """Return what the body holds.

        Raises:
            DnsProblem: it is not JSON.
        """
        try:
            return json.loads(answer.body)
        except ValueError:
            raise self.error(f"answers {answer.status} with a body that is not JSON", step) from None

    def members(self, answer: Answer, step: str) -> Mapping[str, Any]:
        """Return the object that the body holds.

        Raises:
            DnsProblem: it holds something else; then it was not the vendor who answered.
        """
        found = self.json(answer, step)
        if not isinstance(found, dict):
            raise self.error(f"answers {answer.status} with a body that is no object", step)
        return found

    def objects(self, found: Any, step: str) -> list[Mapping[str, Any]]:
        """Return the objects of a list.

        Args:
            found: a part of an answer.
            step: what was asked.

        Raises:
            DnsProblem: it is not a list.
        """
        if not isinstance(found, list):
            raise self.error("answers without the list that was asked for", step)
        return [item for item in found if isinstance(item, dict)]

    def _words(self, answer: Answer) -> str:
        """Return the vendor's words as the end of a sentence, short and without our secrets."""
        try:
            said = self._message(answer)
        except (ValueError, TypeError, AttributeError, LookupError):
            said = ""
        for secret in self._secrets:
            said = said.replace(secret, STARS)
        said = " ".join("".join(sign if sign.isprintable() else " " for sign in scrub(said)).split())[:_SHOWN]
        return f": {said}" if said else "."


def as_object(found: Any) -> Mapping[str, Any]:
    """Return an object of an answer, an empty one for anything else."""
    return found if isinstance(found, dict) else {}


def as_objects(found: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list in an answer; anything else in it is left out."""
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
