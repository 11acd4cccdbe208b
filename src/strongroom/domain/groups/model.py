"""Secret groups as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from strongroom.kernel.ids import GroupId, IamId


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretGroup:
    """A set of secrets that access is granted on; a secret never changes its group."""

    id: GroupId
    name: str
    description: str = ""
    created_at: datetime
    created_by: IamId
    updated_at: datetime
