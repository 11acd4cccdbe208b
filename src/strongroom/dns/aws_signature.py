"""Signatures of requests to AWS. Source: AWS General Reference, "Signature Version 4 signing process"."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from urllib.parse import quote

from strongroom.kernel.value import value

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


@value
class AwsKey:
    """An access key, and what its signatures are good for."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str
    service: str


def query_string(query: Sequence[tuple[str, str]]) -> str:
    """Return the query as it is sent and signed: sorted, and encoded as the signature wants it."""
    encoded = ((quote(name, safe=_UNRESERVED), quote(text, safe=_UNRESERVED)) for name, text in query)
    return "&".join(f"{name}={text}" for name, text in sorted(encoded))


def signed_headers(
    key: AwsKey,
    *,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str],
    body: bytes = b"",
    at: datetime,
) -> Mapping[str, str]:
    """Return the headers with ``X-Amz-Date`` and ``Authorization``.

    Args:
        key: who asks.
        method: in capitals.
        path: as it is sent, percent-encoded.
        query: as it went into `query_string`.
        headers: all are signed; ``Host`` must be among them.
        body: as it is sent.
        at: now, in UTC; AWS takes signatures of the last minutes only.
    """
    moment = at.strftime("%Y%m%dT%H%M%SZ")
    day = moment[:8]
    sent = {**headers, "X-Amz-Date": moment}
    canonical = {name.lower(): " ".join(text.split()) for name, text in sent.items()}
    names = ";".join(sorted(canonical))
    request = "\n".join(
        (
            method,
            # Everything but S3 encodes the path, encoded as it is, once more.
            quote(path, safe="/" + _UNRESERVED),
            query_string(query),
            *(f"{name}:{canonical[name]}" for name in sorted(canonical)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{key.region}/{key.service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    signing_key = f"AWS4{key.secret_access_key}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
    credential = f"{key.access_key_id}/{scope}"
    return {
        **sent,
        "Authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}",
    }
