"""Signed webhooks that carry a CloudEvent.

Sources: CloudEvents 1.0, JSON event format; design, section 12 (headers and signature).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

from strongroom.domain.notifications.model import Address, Attempt, Notice
from strongroom.kernel.clock import Clock
from strongroom.kernel.time import format_rfc3339
from strongroom.notify.posting import Post, without_query

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
TIMESTAMP: Final = "X-Strongroom-Timestamp"
SIGNATURE: Final = "X-Strongroom-Signature"


def cloud_event(notice: Notice) -> dict[str, Any]:
    """Return a notice as a CloudEvent; ``source`` and ``id`` together are its own for ever."""
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": notice.payload["source_instance_crn"],
        "type": notice.event_type,
        "time": format_rfc3339(notice.at),
        "datacontenttype": "application/json",
        "data": notice.payload,
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of the signature header.

    Args:
        secret: shared with the receiver.
        timestamp: seconds since the epoch, as in its header; receivers refuse old ones.
        body: exactly as it is sent.
    """
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


class WebhookSender:
    """Sends to webhooks; without a signing secret the request carries no signature."""

    def __init__(self, post: Post, clock: Clock) -> None:
        self._post = post
        self._clock = clock

    def check(self, address: Address) -> None:
        """Refuse an address that must not be contacted.

        Raises:
            Invalid: names the rule.
        """
        self._post.check(address)

    def show(self, url: str) -> str:
        """Return the address without its query."""
        return without_query(url)

    def send(self, address: Address, notice: Notice) -> Attempt:
        """Send one CloudEvent.

        Raises:
            Invalid: the host must not be contacted.
            Unavailable: nothing usable came back.
        """
        body = json.dumps(cloud_event(notice), ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {"Content-Type": CONTENT_TYPE, TIMESTAMP: timestamp}
        if address.signing_secret is not None:
            headers[SIGNATURE] = signature(address.signing_secret.reveal(), timestamp, body)
        return self._post.send(address, body, headers)
