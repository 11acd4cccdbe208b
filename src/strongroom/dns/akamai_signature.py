"""Signatures of requests to Akamai's APIs. Source: Akamai, "EdgeGrid authentication" (EG1-HMAC-SHA256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import field
from datetime import datetime

from strongroom.kernel.value import value

_ALGORITHM = "EG1-HMAC-SHA256"
_SIGNED_BODY = 131_072
"""Only so many bytes of a body are signed."""


@value
class AkamaiKey:
    """The credentials of an API client."""

    client_token: str = field(repr=False)
    client_secret: str = field(repr=False)
    access_token: str = field(repr=False)


def authorization(
    key: AkamaiKey,
    *,
    method: str,
    host: str,
    target: str,
    body: bytes = b"",
    at: datetime,
    nonce: str,
    signed_body: int = _SIGNED_BODY,
) -> str:
    """Return the ``Authorization`` header of a request over HTTPS.

    Args:
        key: who asks.
        method: in capitals; the body of a POST is signed, of nothing else.
        host: it goes to.
        target: path and query as they are sent.
        body: as it is sent.
        at: now, in UTC; Akamai takes signatures of the last seconds only.
        nonce: never used before.
        signed_body: how much of the body is signed.
    """
    moment = at.strftime("%Y%m%dT%H:%M:%S+0000")
    tokens = f"client_token={key.client_token};access_token={key.access_token}"
    unsigned = f"{_ALGORITHM} {tokens};timestamp={moment};nonce={nonce};"
    content = _base64(hashlib.sha256(body[:signed_body]).digest()) if method == "POST" and body else ""
    # The empty part before the body's hash is for headers to sign: the DNS API wants none signed.
    to_sign = f"{method}\thttps\t{host.lower()}\t{target}\t\t{content}\t{unsigned}"
    signing_key = _mac(key.client_secret.encode(), moment)
    return f"{unsigned}signature={_mac(signing_key.encode(), to_sign)}"


def _mac(key: bytes, text: str) -> str:
    return _base64(hmac.digest(key, text.encode(), "sha256"))


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
