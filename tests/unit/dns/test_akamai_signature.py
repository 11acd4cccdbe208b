"""Signatures of requests to Akamai, against those that Akamai published with its clients."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from strongroom.dns.akamai_signature import AkamaiKey, authorization

_AT = datetime(2014, 3, 21, 19, 34, 21, tzinfo=UTC)
_KEY = AkamaiKey(
    client_token="akab-client-token-xxx-xxxxxxxxxxxxxxxx",
    client_secret="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=",
    access_token="akab-access-token-xxx-xxxxxxxxxxxxxxxx",
)


# Source: the test data of the vendor's own clients, which sign 2,048 bytes of a body at most.
@pytest.mark.parametrize(
    ("case", "method", "target", "body", "signature"),
    [
        ("simple GET", "GET", "/", b"", "tL+y4hxyHxgWVD30X3pWnGKHcPzmrIF+LThiAOhMxYU="),
        ("query", "GET", "/testapi/v1/t1?p1=1&p2=2", b"", "hKDH1UlnQySSHjvIcZpDMbQHihTQ0XyVAKZaApabdeA="),
        ("POST", "POST", "/testapi/v1/t3", b"datadata" * 4, "hXm4iCxtpN22m4cbZb4lVLW5rhX8Ca82vCFqXzSTPe4="),
        ("POST at the limit", "POST", "/testapi/v1/t3", b"d" * 2048, "6Q6PiTipLae6n4GsSIDTCJ54bEbHUBp+4MUXrbQCBoY="),
        ("POST too large", "POST", "/testapi/v1/t3", b"d" * 2049, "6Q6PiTipLae6n4GsSIDTCJ54bEbHUBp+4MUXrbQCBoY="),
        ("POST empty", "POST", "/testapi/v1/t6", b"", "1gEDxeQGD5GovIkJJGcBaKnZ+VaPtrc4qBUHixjsPCQ="),
        ("PUT", "PUT", "/testapi/v1/t6", b"P" * 31, "GNBWEYSEWOLtu+7dD52da2C39aX/Jchpon3K/AmBqBU="),
    ],
)
def test_requests_are_signed_as_published(case: str, method: str, target: str, body: bytes, signature: str) -> None:
    header = authorization(
        _KEY,
        method=method,
        host="akaa-baseurl-xxxxxxxxxxx-xxxxxxxxxxxxx.luna.akamaiapis.net",
        target=target,
        body=body,
        at=_AT,
        nonce="nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        signed_body=2048,
    )
    assert header == (
        "EG1-HMAC-SHA256 client_token=akab-client-token-xxx-xxxxxxxxxxxxxxxx;"
        "access_token=akab-access-token-xxx-xxxxxxxxxxxxxxxx;timestamp=20140321T19:34:21+0000;"
        f"nonce=nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx;signature={signature}"
    ), case


def test_a_key_shows_neither_its_secret_nor_its_access_token() -> None:
    assert "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=" not in repr(_KEY)
    assert "akab-access-token" not in repr(_KEY)
