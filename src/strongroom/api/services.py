"""The domain services that operations call, put together by the container."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strongroom.domain.audit.service import AuditTrail
from strongroom.domain.authorities.services import AuthorityServices
from strongroom.domain.configurations.service import Configurations
from strongroom.domain.groups.service import SecretGroups
from strongroom.domain.identity.authenticate import Authenticator
from strongroom.domain.identity.services import IdentityServices
from strongroom.domain.jobs.service import JobService
from strongroom.domain.limits import Limits
from strongroom.domain.notifications.service import Notifications
from strongroom.domain.orders.configuring import PublicConfigurations
from strongroom.domain.orders.manual import ManualOrders
from strongroom.domain.orders.views import OrderViews
from strongroom.domain.ports import Storage
from strongroom.domain.secrets.services import SecretServices
from strongroom.kernel.clock import Clock
from strongroom.kernel.ids import Instance
from strongroom.kernel.secret import Secret


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
    configurations: Configurations
    public_configurations: PublicConfigurations
    authorities: AuthorityServices
    authenticator: Authenticator
    identities: IdentityServices
    audit: AuditTrail
    jobs: JobService
    manual_orders: ManualOrders
    order_views: OrderViews
    notifications: Notifications
    wake_worker: Callable[[], None]
    settings: Callable[[], Sequence[Any]]
    encryption: Callable[[], Mapping[str, str]]
    metrics: Callable[[], bytes]
    metrics_token: Secret[str] | None
    check_master_key: Callable[[], None]
