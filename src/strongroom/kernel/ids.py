"""Identifiers, each its own type, and cloud resource names (CRN)."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from typing import Final, NewType

SecretId = NewType("SecretId", str)
VersionId = NewType("VersionId", str)
GroupId = NewType("GroupId", str)
LockId = NewType("LockId", str)
ConfigurationId = NewType("ConfigurationId", str)
IamId = NewType("IamId", str)
"""``IBMid-...`` for users, ``iam-ServiceId-<uuid>`` for service IDs."""
ServiceIdId = NewType("ServiceIdId", str)
ApiKeyId = NewType("ApiKeyId", str)
PolicyId = NewType("PolicyId", str)
AccessGroupId = NewType("AccessGroupId", str)
JobId = NewType("JobId", str)
AuditId = NewType("AuditId", str)

DEFAULT_GROUP = GroupId("default")

UUID_PATTERN = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


class _Randomness:
    """Randomness of the system in portions.

    Asking for it gives up the interpreter's lock; under load, getting that back for each identifier of a request costs
    more than the rest of the request. Keys do not come from here: they ask the system themselves.
    """

    _PORTION: Final = 16 * 256

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = b""
        self._used = 0
        os.register_at_fork(after_in_child=self._start_anew)

    def take(self) -> bytes:
        """Return 16 bytes that nobody else gets."""
        with self._lock:
            if self._used >= len(self._bytes):
                self._bytes, self._used = os.urandom(self._PORTION), 0
            start = self._used
            self._used = start + 16
            return self._bytes[start : self._used]

    def _start_anew(self) -> None:
        # The parent hands out the rest of its portion; its lock may be held for ever here.
        self._lock = threading.Lock()
        self._bytes, self._used = b"", 0


_randomness: Final = _Randomness()


def new_uuid() -> str:
    """Return a random UUID in its usual text form. Source: RFC 9562 section 5.4 (version 4)."""
    digits = _randomness.take().hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def is_uuid(text: str) -> bool:
    """Tell whether ``text`` is a UUID in lower-case hyphenated form."""
    return UUID_PATTERN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """This deployment's place in resource names; made once, at first start.

    Attributes:
        id: UUID.
        account_id: 32 hexadecimal digits.
        region: label from the settings.
    """

    id: str
    account_id: str
    region: str

    @property
    def crn(self) -> str:
        """Return the CRN of the instance itself."""
        return f"{self.crn_prefix}::"

    @property
    def crn_prefix(self) -> str:
        """Return the CRN up to and including the instance id."""
        return f"crn:v1:bluemix:public:secrets-manager:{self.region}:a/{self.account_id}:{self.id}"

    def secret_crn(self, secret_id: str) -> str:
        """Return the CRN of a secret (api-v2 section 1.4)."""
        return f"{self.crn_prefix}:secret:{secret_id}"
