"""Units of work: the repositories over one connection."""

from __future__ import annotations

from strongroom.domain import ports
from strongroom.domain.audit.record import AuditEntry
from strongroom.domain.authorities.repository import AuthorityRepository
from strongroom.domain.notifications.repository import NotificationRepository
from strongroom.domain.orders.repository import OrderRepository
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.secrets import SqlSecrets


class SqlReadUnit:
    """Repositories over one snapshot; the database refuses changes.

    Repositories are cheap (a connection and the batch's notes), so they are made when asked for.
    """

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    @property
    def secrets(self) -> ports.SecretRepository:
        """Return the secrets."""
        return SqlSecrets(self._connection, self._pending)

    @property
    def versions(self) -> ports.VersionRepository:
        """Return the versions."""
        from strongroom.storage.repositories.versions import SqlVersions

        return SqlVersions(self._connection, self._pending)

    @property
    def groups(self) -> ports.GroupRepository:
        """Return the secret groups."""
        from strongroom.storage.repositories.groups import SqlGroups

        return SqlGroups(self._connection, self._pending)

    @property
    def locks(self) -> ports.LockRepository:
        """Return the locks."""
        from strongroom.storage.repositories.locks import SqlLocks

        return SqlLocks(self._connection, self._pending)

    @property
    def jobs(self) -> ports.JobRepository:
        """Return the jobs."""
        from strongroom.storage.repositories.jobs import SqlJobs

        return SqlJobs(self._connection, self._pending)

    @property
    def identities(self) -> ports.IdentityRepository:
        """Return identities and grants."""
        from strongroom.storage.repositories.identities import SqlIdentities

        return SqlIdentities(self._connection, self._pending)

    @property
    def audit_trail(self) -> ports.AuditRepository:
        """Return the stored audit trail."""
        from strongroom.storage.repositories.audit import SqlAudit

        return SqlAudit(self._connection, self._pending)

    @property
    def keys(self) -> ports.KeyRepository:
        """Return the server's own keys."""
        from strongroom.storage.repositories.keys import SqlKeys

        return SqlKeys(self._connection, self._pending)

    @property
    def instance(self) -> ports.InstanceRepository:
        """Return the row that says whose store this is."""
        from strongroom.storage.repositories.instance import SqlInstance

        return SqlInstance(self._connection, self._pending)

    @property
    def statistics(self) -> ports.StatisticsRepository:
        """Return the counts for the metrics."""
        from strongroom.storage.repositories.statistics import SqlStatistics

        return SqlStatistics(self._connection, self._pending)

    @property
    def configurations(self) -> ports.ConfigurationRepository:
        """Return the configurations of engines."""
        from strongroom.storage.repositories.configurations import SqlConfigurations

        return SqlConfigurations(self._connection, self._pending)

    @property
    def authorities(self) -> AuthorityRepository:
        """Return the authorities of private CAs, and what they issued."""
        from strongroom.storage.repositories.authorities import SqlAuthorities

        return SqlAuthorities(self._connection, self._pending)

    @property
    def orders(self) -> OrderRepository:
        """Return the orders of public certificates."""
        from strongroom.storage.repositories.orders import SqlOrders

        return SqlOrders(self._connection, self._pending)

    @property
    def notifications(self) -> NotificationRepository:
        """Return who is told of events, and what was sent."""
        from strongroom.storage.repositories.notifications import SqlNotifications

        return SqlNotifications(self._connection, self._pending)


class SqlUnit(SqlReadUnit):
    """Repositories inside one transaction."""

    __slots__ = ()

    @property
    def events(self) -> ports.EventRepository:
        """Return the outbox of lifecycle events."""
        from strongroom.storage.repositories.events import SqlEvents

        return SqlEvents(self._connection, self._pending)

    def audit(self, entry: AuditEntry) -> None:
        """Add the entry to this process's stream, with the commit of this unit."""
        self._pending.entries.append(entry)
