"""The domain services that operations call, put together by the container."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.domain.groups.service import SecretGroups
from strongroom.domain.identity.authenticate import Authenticator
from strongroom.domain.identity.services import IdentityServices
from strongroom.domain.limits import Limits
from strongroom.domain.ports import Storage
from strongroom.domain.secrets.services import SecretServices
from strongroom.kernel.clock import Clock
from strongroom.kernel.ids import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a handler may use."""

    storage: Storage
    clock: Clock
    limits: Limits
    instance: Instance
    public_url: str
    version: str
    secrets: SecretServices
    groups: SecretGroups
    authenticator: Authenticator
    identities: IdentityServices
