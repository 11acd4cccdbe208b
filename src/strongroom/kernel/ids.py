"""Identifiers, each its own type, and cloud resource names (CRN)."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import NewType

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


def new_uuid() -> str:
    """Return a random UUID in its usual text form."""
    return str(uuid.uuid4())


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
