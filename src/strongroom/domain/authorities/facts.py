"""What answers show of a certificate authority beside its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from strongroom.kernel.value import value


@value
class AuthorityFacts:
    """The state of a CA configuration at the time of the answer.

    Attributes:
        status: contract api-v2-models M4.6.
        expiration: the end of its certificate; ``None`` while it waits for one.
        serial_number: of its certificate, in the API's form with colons.
        issuer: who signed it, where the document does not name a configuration: a distinguished name.
        data: its certificate and chain, or its CSR, as the API shows them (M4.4).
    """

    status: str
    expiration: datetime | None = None
    serial_number: str | None = None
    issuer: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
