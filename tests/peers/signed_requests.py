"""The other side of signed requests: recomputes a signature from what arrived, on its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Return the path, still encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """Return the query, decoded."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True, strict_parsing=False))


_AWS = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def aws_problem(request: Arrived, *, key_id: str, secret: str, region: str, service: str, now: datetime) -> str | None:
    """Return the error code that AWS would answer with, ``None`` for a good signature."""
    given = _AWS.fullmatch(request.headers.get("authorization", ""))
    if given is None:
        return "MissingAuthenticationToken"
    if given["key"] != key_id:
        return "InvalidClientTokenId"
    stamp = request.headers.get("x-amz-date", "")
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    names = given["names"].split(";")
    if (
        abs(at - now) > timedelta(minutes=5)
        or given["day"] != stamp[:8]
        or (given["region"], given["service"]) != (region, service)
        or names != sorted(names)
        or not {"host", "x-amz-date"} <= set(names)
    ):
        return "SignatureDoesNotMatch"
    pairs = parse_qsl(request.target.partition("?")[2], keep_blank_values=True)
    encoded = sorted(f"{quote(name, safe='-_.~')}={quote(text, safe='-_.~')}" for name, text in pairs)
    lines = [request.method, quote(request.path, safe="/-_.~"), "&".join(encoded)]
    lines += [f"{name}:{request.headers[name].strip()}" for name in names]
    lines += ["", given["names"], hashlib.sha256(request.body).hexdigest()]
    scope = f"{given['day']}/{region}/{service}/aws4_request"
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = b"AWS4" + secret.encode()
    for step in (given["day"], region, service, "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(expected, given["signature"]) else "SignatureDoesNotMatch"


def edgegrid_problem(
    request: Arrived,
    *,
    host: str,
    client_token: str,
    client_secret: str,
    access_token: str,
    now: datetime,
    nonces: set[str],
) -> str | None:
    """Return what Akamai would say about a request, ``None`` for a good signature."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    parts = dict(part.partition("=")[::2] for part in rest.split(";"))
    if scheme != "EG1-HMAC-SHA256" or parts.get("client_token") != client_token:
        return "Unknown client token"
    if parts.get("access_token") != access_token:
        return "Inactive access token"
    at = datetime.strptime(parts["timestamp"], "%Y%m%dT%H:%M:%S%z")
    if abs(at - now) > timedelta(seconds=30):
        return "Invalid timestamp"
    if parts["nonce"] in nonces:
        return "Nonce was used before"
    nonces.add(parts["nonce"])
    unsigned, _, signature = request.headers["authorization"].rpartition("signature=")
    hashed = b""
    if request.method == "POST" and request.body:
        hashed = base64.b64encode(hashlib.sha256(request.body[:131072]).digest())
    fields = [request.method, "https", host, request.target, "", hashed.decode(), unsigned]
    key = base64.b64encode(hmac.new(client_secret.encode(), parts["timestamp"].encode(), hashlib.sha256).digest())
    expected = base64.b64encode(hmac.new(key, "\t".join(fields).encode(), hashlib.sha256).digest()).decode()
    return None if hmac.compare_digest(expected, signature) else "The signature does not match"


def basic_credential(request: Arrived) -> tuple[str, str]:
    """Return user and password of HTTP's basic scheme, empty without any."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    user, _, password = base64.b64decode(given).decode().partition(":")
    return user, password


def decoded(part: str) -> str:
    """Return a part of a path as it was meant."""
    return unquote(part)
