"""What the rules need from the outside, as contracts.

Storage. A *unit of work* is a function handed to `Storage.read`, `Storage.write` or
`Storage.submit`; it gets the repositories. Returning commits, raising rolls back, alone: other
units that share the same commit are untouched. When `write` returns (or the future of `submit`
resolves), the change survives a crash. Units must be safe to run again: the store repeats one
after a deadlock. No network call, key generation or signature happens inside a unit.

Repositories speak domain objects. ``find`` returns ``None`` for what is not there. ``save`` of an
object with a ``row_version`` (or ``entity_tag``) that is no longer the stored one raises
`Conflict` (``stale_version``). Sort keys always end in creation order, so every order is total.

The module is long because this one contract binds every repository: it is read as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from strongroom.domain.audit.record import AuditEntry, AuditQuery, AuditRecord
from strongroom.domain.authorities.repository import AuthorityRepository
from strongroom.domain.configurations.model import ConfigKind, Configuration, ConfigurationQuery
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.identity.model import (
    AccessGroup,
    ApiKey,
    Membership,
    Policy,
    RefreshToken,
    ServiceId,
    SubjectKind,
    User,
)
from strongroom.domain.jobs.model import Job, JobQuery, JobState
from strongroom.domain.notifications.model import WaitingEvent
from strongroom.domain.notifications.repository import NotificationRepository
from strongroom.domain.orders.repository import OrderRepository
from strongroom.domain.secrets.model import (
    Lock,
    LockQuery,
    RenewalQuery,
    Secret,
    SecretLocks,
    SecretQuery,
    SecretType,
    StoredPayload,
    Version,
)
from strongroom.kernel.ids import (
    AccessGroupId,
    ApiKeyId,
    ConfigurationId,
    GroupId,
    IamId,
    Instance,
    JobId,
    PolicyId,
    SecretId,
    ServiceIdId,
    VersionId,
)
from strongroom.kernel.result import Page
from strongroom.pki.draft import SigningKey
from strongroom.pki.keys import IssuedKey, KeySpec

T = TypeVar("T")


class SecretRepository(Protocol):
    """Secrets, their search text, labels and counters, which it keeps in step."""

    def find(self, secret_id: SecretId) -> Secret | None: ...

    def find_for_update(self, secret_id: SecretId) -> Secret | None:
        """Read it so that no other unit changes it before this one commits."""
        ...

    def find_many(self, secret_ids: Sequence[SecretId]) -> Mapping[SecretId, Secret]:
        """Return those that are there."""
        ...

    def find_by_name(self, secret_type: SecretType, name: str) -> Secret | None: ...

    def find_current(self, secret_id: SecretId) -> StoredPayload | None:
        """Read a secret with its current version and sealed payload in one statement.

        Returns ``None`` for an unknown id and for a secret that has no version.
        """
        ...

    def page(self, query: SecretQuery) -> Page[Secret]: ...

    def count_in_group(self, group_id: GroupId) -> int: ...

    def counts(self) -> dict[tuple[GroupId, SecretType], int]:
        """Return the number of secrets per group and type, from counters."""
        ...

    def due_for_expiry(self, now: datetime, limit: int, *, unless_job: str) -> Sequence[SecretId]:
        """Return active secrets whose ``expires_at`` has passed and that no job is there for, soonest first.

        Args:
            now: the present instant.
            limit: of so many.
            unless_job: kind of the jobs, which have ``<kind>:<id of the secret>`` as their key. One that waits for a
                lock may do so for years; hundreds of them must not keep others from their turn.
        """
        ...

    def due_for_notice(self, now: datetime, limit: int) -> Sequence[SecretId]:
        """Return secrets whose next look for a notice of their end is due, longest due first.

        It becomes due with each new end, and with each certificate (`domain.notifications.ladder`).
        """
        ...

    def set_notice(self, secret_id: SecretId, at: datetime | None) -> None:
        """Say when to look next; it is no change of the secret."""
        ...

    def due_for_rotation(self, now: datetime, limit: int, *, unless_job: str) -> Sequence[SecretId]:
        """Return active or expired secrets whose ``next_rotation_at`` has passed and that no job is there for.

        Soonest first; arguments as for `due_for_expiry`.
        """
        ...

    def renewals(self, query: RenewalQuery) -> Page[tuple[Secret, datetime]]:
        """Return active or expired secrets that have a ``next_rotation_at``, with it, soonest first."""
        ...

    def add(self, secret: Secret) -> None:
        """Store a new secret.

        Raises:
            Conflict: ``already_exists`` if the type has one of this name.
        """
        ...

    def save(self, secret: Secret) -> Secret:
        """Store a changed secret and return it with its new ``row_version``.

        ``retrieved_at`` is never written here; ``downloaded`` only when the current version changes.
        """
        ...

    def remove(self, secret_id: SecretId) -> None:
        """Delete it with its versions, payloads, labels and locks."""
        ...


class VersionRepository(Protocol):
    """Versions of secrets and their sealed payloads."""

    def find(self, secret_id: SecretId, version_id: VersionId) -> Version | None: ...

    def find_sealed(self, secret_id: SecretId, version_id: VersionId) -> bytes | None: ...

    def listing(self, secret_id: SecretId) -> Sequence[Version]:
        """Return all retained versions, newest first."""
        ...

    def add(self, version: Version, sealed: bytes | None) -> None: ...

    def save(self, version: Version) -> None:
        """Store changed attributes, custom metadata, ``downloaded`` and ``payload_available``."""
        ...

    def erase_payload(self, secret_id: SecretId, version_id: VersionId) -> None:
        """Destroy the sealed payload and clear ``payload_available``."""
        ...

    def erase_payloads_except(self, secret_id: SecretId, keep: Iterable[VersionId]) -> None: ...

    def trim(self, secret_id: SecretId, keep: int) -> int:
        """Drop the oldest versions beyond ``keep`` and return how many are left."""
        ...

    def mark_read(self, secret_id: SecretId, version_id: VersionId, at: datetime | None) -> None:
        """Note that the payload was in an answer; ``at`` also moves ``retrieved_at`` of the secret."""
        ...


class GroupRepository(Protocol):
    """Secret groups; ``default`` always exists."""

    def find(self, group_id: GroupId) -> SecretGroup | None: ...

    def find_by_name(self, name: str) -> SecretGroup | None: ...

    def listing(self) -> Sequence[SecretGroup]:
        """Return every group: ``default`` first, then newest first."""
        ...

    def count(self) -> int:
        """Return how many there are beside ``default``."""
        ...

    def add(self, group: SecretGroup) -> None: ...

    def save(self, group: SecretGroup) -> None: ...

    def remove(self, group_id: GroupId) -> None: ...


class LockRepository(Protocol):
    """Locks on versions."""

    def page_of_secret(self, secret_id: SecretId, query: LockQuery) -> Page[Lock]: ...

    def page_of_version(self, secret_id: SecretId, version_id: VersionId, query: LockQuery) -> Page[Lock]: ...

    def page_of_secrets(self, query: LockQuery) -> Page[SecretLocks]:
        """Return secrets that carry at least one lock, newest secret first."""
        ...

    def names(self, secret_id: SecretId) -> dict[VersionId, tuple[str, ...]]:
        """Return the lock names of each locked version, in order of creation."""
        ...

    def put(self, lock: Lock) -> None:
        """Store it in place of the one of the same name on the same version (keeps its ``created_at``)."""
        ...

    def remove(self, secret_id: SecretId, version_id: VersionId | None, names: Iterable[str] | None) -> int:
        """Delete locks of one version (or of all), all or by name; unknown names are ignored."""
        ...


class JobRepository(Protocol):
    """Durable jobs."""

    def find(self, job_id: JobId) -> Job | None: ...

    def page(self, query: JobQuery) -> Page[Job]: ...

    def enqueue(self, job: Job) -> bool:
        """Store it, or return ``False`` when a job with its dedupe key has not ended yet."""
        ...

    def claim(self, owner: str, now: datetime, lease_until: datetime, kinds: Sequence[str]) -> Job | None:
        """Lease the longest due job whose lease is free or has run out.

        It is returned, and stored, as ``running`` with the next fence.
        """
        ...

    def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next job that has not ended can be claimed: its time, or its lease's end."""
        ...

    def save(self, job: Job, *, fence: int) -> None:
        """Store progress, ``job.fence`` included, if ``fence`` is still the stored one.

        Raises:
            Conflict: ``stale_version`` if another worker claimed it since, or somebody changed it;
                ``already_exists`` if it is open again and another open job has its dedupe key.
        """
        ...

    def last_of_secret(self, secret_id: SecretId) -> Job | None:
        """Return the running or last failed job about the secret, newest first."""
        ...

    def purge_ended(self, before: datetime, limit: int) -> int: ...


class IdentityRepository(Protocol):
    """Users, service IDs, API keys, policies, access groups. Every change moves the generation."""

    def generation(self) -> int:
        """Return a number that grows with every change of identities or grants.

        Inside a unit it counts what the unit itself changed.
        """
        ...

    def hold(self) -> None:
        """Let no other unit that holds identities commit until this one has ended.

        For rules about several identities at once: what is read afterwards stays true.
        """
        ...

    def find_user(self, iam_id: IamId) -> User | None: ...
    def find_user_by_name(self, name: str) -> User | None: ...
    def users(self, *, limit: int, offset: int) -> Page[User]: ...
    def add_user(self, user: User) -> None: ...
    def save_user(self, user: User) -> None: ...
    def remove_user(self, iam_id: IamId) -> None: ...

    def find_service_id(self, service_id: ServiceIdId) -> ServiceId | None: ...
    def find_service_id_by_iam_id(self, iam_id: IamId) -> ServiceId | None: ...
    def service_ids(self, *, limit: int, offset: int, name: str | None = None) -> Page[ServiceId]: ...
    def add_service_id(self, service_id: ServiceId) -> None: ...
    def save_service_id(self, service_id: ServiceId, *, expected_tag: str | None = None) -> None: ...
    def remove_service_id(self, service_id: ServiceIdId) -> None: ...

    def find_api_key(self, api_key_id: ApiKeyId) -> ApiKey | None: ...
    def find_api_key_by_digest(self, digest: str) -> ApiKey | None: ...
    def api_keys(self, *, iam_id: IamId | None, limit: int, offset: int) -> Page[ApiKey]: ...
    def add_api_key(self, api_key: ApiKey) -> None: ...
    def save_api_key(self, api_key: ApiKey, *, expected_tag: str | None = None) -> None: ...
    def touch_api_key(self, api_key_id: ApiKeyId, at: datetime) -> None:
        """Move ``last_used_at``; does not move the generation."""
        ...

    def remove_api_key(self, api_key_id: ApiKeyId) -> None:
        """Delete it with its refresh tokens."""
        ...

    def remove_api_keys_of(self, iam_id: IamId) -> None: ...

    def find_policy(self, policy_id: PolicyId) -> Policy | None: ...
    def policies(
        self, *, subject: str | None = None, group_id: GroupId | None = None, limit: int = 1000, offset: int = 0
    ) -> Page[Policy]: ...
    def policies_of(self, subjects: Sequence[tuple[SubjectKind, str]]) -> Sequence[Policy]: ...
    def add_policy(self, policy: Policy) -> None: ...
    def save_policy(self, policy: Policy, *, expected_tag: str | None = None) -> None: ...
    def remove_policy(self, policy_id: PolicyId) -> None: ...
    def remove_policies_of(self, kind: SubjectKind, subject: str) -> None: ...

    def find_access_group(self, group_id: AccessGroupId) -> AccessGroup | None: ...
    def find_access_group_by_name(self, name: str) -> AccessGroup | None: ...
    def access_groups(self, *, limit: int, offset: int, iam_id: IamId | None = None) -> Page[AccessGroup]: ...
    def access_groups_of(self, iam_id: IamId) -> Sequence[AccessGroup]: ...
    def add_access_group(self, group: AccessGroup) -> None: ...
    def save_access_group(self, group: AccessGroup, *, expected_tag: str | None = None) -> None: ...
    def remove_access_group(self, group_id: AccessGroupId) -> None: ...
    def members(self, group_id: AccessGroupId, *, limit: int, offset: int) -> Page[Membership]: ...
    def add_member(self, membership: Membership) -> bool: ...
    def remove_member(self, group_id: AccessGroupId, iam_id: IamId) -> bool: ...
    def remove_memberships_of(self, iam_id: IamId) -> None: ...

    def find_refresh_token(self, digest: str) -> RefreshToken | None: ...
    def add_refresh_token(self, token: RefreshToken) -> None: ...
    def purge_refresh_tokens(self, now: datetime) -> int: ...


class AuditRepository(Protocol):
    """The stored audit trail, read side. Writing goes through `Unit.audit` and `Storage.record`."""

    def page(self, query: AuditQuery) -> tuple[Sequence[AuditRecord], str | None]:
        """Return records newest first, and the position of the next page."""
        ...

    def export(
        self, from_time: datetime | None, to_time: datetime | None, *, after: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return up to ``limit`` lines of an export in the order of storing, and where the next ones begin.

        The lines are records and checkpoints. No record is left out between the first at or after
        ``from_time`` and the last before ``to_time``, even where times of one stream are not in
        order: the chain stays whole. ``after`` is what the call before returned; ``None`` ends it.
        """
        ...

    def heads(self, before: datetime | None = None) -> dict[str, tuple[int, str]]:
        """Return the last sequence and hash of every stream.

        With ``before``: of the records stored ahead of the first one whose time is ``before`` or
        later, which is where an export from that instant begins.
        """
        ...

    def records_after(self, stream: str, sequence: int, limit: int) -> Sequence[AuditRecord]: ...

    def add_checkpoint(self, at: datetime, body: str, signature: str, public_key: str) -> None: ...

    def checkpoints(self, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, str, str, str]]:
        """Return ``(position, body, signature, public_key)`` of checkpoints, oldest first.

        Positions grow; the next page starts ``after`` the last one.
        """
        ...


class ConfigurationRepository(Protocol):
    """Configurations of engines. There are few of each type, so they need no counters."""

    def find(self, kind: ConfigKind, name: str) -> Configuration | None: ...

    def find_by_id(self, configuration_id: ConfigurationId) -> Configuration | None: ...

    def find_for_update(self, configuration_id: ConfigurationId) -> Configuration | None:
        """Read it so that no other unit changes it before this one commits."""
        ...

    def rely_on(self, first: ConfigurationId, second: ConfigurationId | None = None) -> Mapping[ConfigurationId, int]:
        """Return the row versions of those that are there; no other unit changes them before this one commits.

        Others may rely on them, too.
        """
        ...

    def named(self, name: str) -> Sequence[Configuration]:
        """Return the configurations of this name, of any kind."""
        ...

    def of_kind(self, kind: ConfigKind) -> Sequence[Configuration]:
        """Return all of a kind, oldest first."""
        ...

    def page(self, query: ConfigurationQuery) -> Page[Configuration]: ...

    def public_users(self, kind: ConfigKind, name: str, limit: int) -> Sequence[str]:
        """Return names of public certificates, not destroyed, that name a CA or DNS configuration, oldest first."""
        ...

    def add(self, configuration: Configuration) -> None:
        """Store a new configuration.

        Raises:
            Conflict: ``already_exists`` if its kind has one of this name.
        """
        ...

    def save(self, configuration: Configuration) -> Configuration:
        """Store a changed document; return it with its new ``row_version``.

        Raises:
            Conflict: ``stale_version`` if it was changed since it was read.
            NotFound: it is not there any more.
        """
        ...

    def touch(self, configuration_id: ConfigurationId) -> None:
        """Move its row version, so that nobody who relied on it commits any more."""
        ...

    def remove(self, configuration_id: ConfigurationId) -> None:
        """Delete it with its authorities and all they know."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A key of the server itself, sealed or wrapped.

    Attributes:
        kind: ``kek``, ``token``, ``pepper``, ``audit`` or ``tls``.
        master_key_id: for ``kek`` the master key that wraps it; empty otherwise.
        blob: wrapped under the master key (``kek``) or sealed by the keyring (all others).
        public: public text that goes with it, if any.
    """

    id: str
    kind: str
    active: bool
    master_key_id: str
    blob: bytes
    public: str
    created_at: datetime


class KeyRepository(Protocol):
    """The server's own keys."""

    def listing(self, kind: str | None = None) -> Sequence[StoredKey]:
        """Return keys, oldest first."""
        ...

    def put(self, key: StoredKey) -> None:
        """Store it, in place of one with the same kind and id."""
        ...


class EventRepository(Protocol):
    """Outbox of lifecycle events; notices are sent from it."""

    def add(
        self, event_type: str, sub_type: str, secret: Secret | None, at: datetime, payload: dict[str, Any]
    ) -> None: ...

    def waiting(self, limit: int) -> Sequence[WaitingEvent]:
        """Return events that no notice was made of yet, oldest first; those of this unit are not among them."""
        ...

    def noticed(self, events: Sequence[WaitingEvent], at: datetime) -> None:
        """Mark events as done with."""
        ...

    def purge(self, before: datetime, limit: int) -> int:
        """Delete events older than ``before`` that do not wait, oldest first, and return how many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityFigures:
    """One signed certificate of a CA, with its newest revocation list.

    Attributes:
        name: of the configuration.
        generation: grows with each key of the configuration.
        crl_number: of the newest list; 0 before the first.
        crl_next_update: ``None`` before the first list.
    """

    name: str
    generation: int
    key_id: str
    not_after: datetime
    is_revoked: bool
    crl_number: int
    crl_next_update: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts for the metrics.

    Attributes:
        expired: active secrets whose time has passed and that nobody has expired yet.
        expiring: active secrets that expire up to each bound and after the one before, then the rest.
        rotations_failed: secrets whose last rotation failed.
        rotations_blocked: secrets whose rotation waits for locks to go.
        renewals: secrets whose next rotation is overdue, then due up to each bound; each counts those before.
        next_renewal_at: when the next of them is.
        orders: open orders of public certificates by CA, state of the job and step.
        orders_failed: public certificates whose last rotation failed, by CA.
        jobs: jobs by kind and state; those that are done or cancelled are left out.
        authorities: every key of a CA that has a certificate, by configuration, the newest key first.
    """

    expired: int
    expiring: tuple[int, ...]
    rotations_failed: int
    rotations_blocked: int
    renewals: tuple[int, ...]
    next_renewal_at: datetime | None
    orders: dict[tuple[str, JobState, str], int]
    orders_failed: dict[str, int]
    jobs: dict[tuple[str, JobState], int]
    authorities: tuple[AuthorityFigures, ...]


class StatisticsRepository(Protocol):
    """Counts that no counter keeps; each is a walk over an index."""

    def gather(self, now: datetime, bounds: Sequence[datetime]) -> Statistics:
        """Count; ``bounds`` are later than ``now`` and in order."""
        ...


class InstanceRepository(Protocol):
    """The single row that says whose store this is."""

    def find(self) -> Instance | None:
        """Return it with an empty region (the region is a setting)."""
        ...

    def create(self, instance: Instance, at: datetime) -> None:
        """Store it.

        Raises:
            Conflict: ``already_exists`` if another process was first.
        """
        ...


class ReadUnit(Protocol):
    """Repositories over one consistent read; changing through it is an error."""

    @property
    def secrets(self) -> SecretRepository: ...
    @property
    def versions(self) -> VersionRepository: ...
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def locks(self) -> LockRepository: ...
    @property
    def jobs(self) -> JobRepository: ...
    @property
    def identities(self) -> IdentityRepository: ...
    @property
    def audit_trail(self) -> AuditRepository: ...
    @property
    def keys(self) -> KeyRepository: ...
    @property
    def instance(self) -> InstanceRepository: ...
    @property
    def statistics(self) -> StatisticsRepository: ...
    @property
    def configurations(self) -> ConfigurationRepository: ...
    @property
    def authorities(self) -> AuthorityRepository: ...
    @property
    def orders(self) -> OrderRepository: ...
    @property
    def notifications(self) -> NotificationRepository: ...


class Unit(ReadUnit, Protocol):
    """Repositories inside one transaction."""

    @property
    def events(self) -> EventRepository: ...

    def audit(self, entry: AuditEntry) -> None:
        """Add the entry to this process's stream, with the commit of this unit."""
        ...


class Storage(Protocol):
    """The store. Safe to use from any thread."""

    @property
    def reads_inline(self) -> bool:
        """Tell whether a primary-key read is quick enough for the event loop (SQLite)."""
        ...

    def read(self, fn: Callable[[ReadUnit], T]) -> T: ...

    def look(self, fn: Callable[[ReadUnit], T]) -> T:
        """Run a unit that is one statement, or whose statements need not agree: no snapshot is kept for it."""
        ...

    def write(self, fn: Callable[[Unit], T]) -> T:
        """Run the unit and return once its commit is on disk."""
        ...

    def submit(self, fn: Callable[[Unit], T]) -> Future[T]:
        """Queue the unit; the future resolves once its commit is on disk."""
        ...

    def record(self, entry: AuditEntry) -> Future[None] | None:
        """Hand over the audit entry of a read; it is on disk within 100 ms.

        Returns a future only when the queue is full or durable reads are on: the caller then
        waits for it before it answers.
        """
        ...

    def touch(self, secret_id: SecretId, at: datetime) -> None:
        """Note another read of a payload; ``retrieved_at`` moves at most 1 s late."""
        ...

    def ready(self) -> None:
        """Raise `Unavailable` unless the database answers and its schema is current."""
        ...

    def close(self) -> None:
        """Write what is queued, then let go of the database."""
        ...


@dataclass(frozen=True, slots=True)
class Binding:
    """The place a sealed value belongs to; it opens nowhere else."""

    table: str
    row: str
    column: str


class Sealer(Protocol):
    """Encryption at rest."""

    def seal(self, plaintext: bytes, binding: Binding) -> bytes: ...

    def unseal(self, sealed: bytes, binding: Binding) -> bytes:
        """Open a sealed value.

        Raises:
            Integrity: ``integrity_failed`` if it was changed, moved or sealed under an unknown key.
        """
        ...


class KeyToken(Protocol):
    """Signing keys that live in PKCS#11 tokens and never leave them. Safe to use from any thread; every call is slow.

    A *reference* is ``crypto_key`` of a configuration: ``label`` and ``id`` (hex), at least one of them,
    ``allow_generate_key``, and ``provider`` with ``type`` ``pkcs11``, ``token_label`` and ``pin_secret_id``. The keys
    sign like others and refuse to be exported. When a token forgets its login they log in again. PINs are read from
    the store then, so none of this happens inside a unit of work.

    Source: domain 5.11.
    """

    def open(self, reference: Mapping[str, Any]) -> SigningKey:
        """Return the key of a reference that `find_or_generate` returned.

        Raises:
            Unavailable: there is no library, token, key or public key object any more, or the token refuses the PIN.
        """
        ...

    def find_or_generate(self, reference: Mapping[str, Any], spec: KeySpec) -> tuple[SigningKey, Mapping[str, Any]]:
        """Return the key of a reference, made in the token if it is absent and may be generated.

        Whoever dies after a key was made finds it on the next call: by its label, or by its ID.

        Returns:
            The key, and the reference to store: ``label``, ``id`` and ``provider``.

        Raises:
            Invalid: ``not_supported`` without a library; ``invalid_field`` if the token, the key or its public key
                object is absent, the key is of another kind than ``spec``, or the token refuses the PIN.
            Unavailable: the library or the token fails.
        """
        ...


class Helpers(Protocol):
    """Runs work that would hold the interpreter lock in a helper process.

    ``fn`` and its arguments must be picklable; the call blocks the calling thread.
    """

    def run(self, fn: Callable[..., T], *args: Any) -> T: ...


class KeyMaker(Protocol):
    """Gives out private keys; the call may block the calling thread while an RSA key is made."""

    def take(self, spec: KeySpec) -> IssuedKey:
        """Return a new key, which nobody else has or gets.

        Raises:
            Invalid: ``invalid_field`` for a size that Strongroom does not make.
            Unavailable: too many callers wait for RSA keys, or none could be made in time.
        """
        ...

    def warm(self, spec: KeySpec) -> None:
        """Say that keys of this kind will be wanted; returns at once."""
        ...
