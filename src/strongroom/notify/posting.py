"""What webhooks and Slack have in common: a POST through the guard, and a try made of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from strongroom.domain.notifications.model import Address, Attempt
from strongroom.kernel.errors import ErrorCode, Internal
from strongroom.kernel.value import value
from strongroom.net.client import Answer, HttpClient
from strongroom.net.guard import Guard

TIMEOUT: Final = timedelta(seconds=10)
_MAX_BYTES: Final = 64 * 1024
STARS: Final = "***"


@value
class Post:
    """Sends bodies to addresses that users named.

    Attributes:
        allow_http: whether addresses may do without TLS.
    """

    client: HttpClient
    guard: Guard
    allow_http: bool

    def check(self, address: Address) -> None:
        """Refuse an address that must not be contacted, as far as can be told without asking for it.

        Raises:
            Invalid: names the rule, and never shows path or query.
        """
        self.guard.check_url(url_of(address), allow_http=self.allow_http, field="url")

    def send(self, address: Address, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """Send and tell what came of it.

        Raises:
            Invalid: the host must not be contacted.
            Unavailable: nothing usable came back.
        """
        answer = self.client.request(
            "POST",
            url_of(address),
            headers=headers,
            content=body,
            timeout=TIMEOUT,
            max_bytes=_MAX_BYTES,
            allow_http=self.allow_http,
        )
        return attempt_of(answer)


def attempt_of(answer: Answer) -> Attempt:
    """Return the try that an answer ends; its body is nothing to show, it may repeat what was sent."""
    message = f"{answer.host} answered with status {answer.status}."
    if 300 <= answer.status <= 399:
        message += " Redirects are not followed."
    return Attempt(
        success=answer.is_success, message=message, answer_code=answer.status, retry_after=answer.retry_after
    )


def url_of(address: Address) -> str:
    """Return the address itself."""
    if address.url is None:
        raise Internal(ErrorCode.INTERNAL, f"The destination {address.name} has no address.")
    return address.url.reveal()


def without_query(url: str) -> str:
    """Return an address that may be shown where only the query is secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{STARS}" if parts.query else "")


def host_only(url: str) -> str:
    """Return an address that may be shown where the path is secret, too."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{STARS}"
