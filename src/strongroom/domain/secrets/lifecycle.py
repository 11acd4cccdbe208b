"""What happens to secrets by itself: expiry, and rotation by policy.

Source: contract domain sections 2.2, 2.3, 2.8 and 6; design, section 8 ("expired certificate").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from strongroom.domain.access.actions import Action
from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.audit.record import AuditEntry, Initiator, Outcome, Reason, Target
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Done, Ended, Step, Waiting, new_job
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.context import Context, VersionView
from strongroom.domain.secrets.events import EventType, Outbox
from strongroom.domain.secrets.locking import locked
from strongroom.domain.secrets.model import CERTIFICATE_TYPES, Secret, State
from strongroom.domain.secrets.rotating import NewVersion, SecretRotation, is_held
from strongroom.kernel.errors import Integrity, Internal, StrongroomError
from strongroom.kernel.ids import AuditId, SecretId, new_uuid
from strongroom.kernel.time import from_microseconds, to_microseconds

EXPIRE: Final = "secret.expire"
ROTATE: Final = "secret.rotate"
_BATCH: Final = 200
LOOK_AGAIN: Final = timedelta(minutes=1)
"""How soon something that a lock held back notices that the lock is gone."""
_TELL_AGAIN: Final = timedelta(days=1)
_NEXT_TRY: Final = timedelta(days=1)

_Due = Callable[[ReadUnit, datetime], Sequence[SecretId]]


class DueSecrets:
    """Queues one job for each secret that has become due."""

    def __init__(self, kind: str, due: _Due) -> None:
        self._kind = kind
        self._due = due

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue jobs, soonest due first, and return how many are new."""
        new = 0
        for secret_id in self._due(unit, now):
            secret = unit.secrets.find(secret_id)
            if secret is not None:
                key = f"{self._kind}:{secret_id}"
                job = new_job(self._kind, dedupe_key=key, now=now, secret_id=secret_id, group_id=secret.group_id)
                new += unit.jobs.enqueue(job)
        return new


def due_for_expiry() -> DueSecrets:
    """Return the source of expiry jobs."""
    return DueSecrets(EXPIRE, lambda unit, now: unit.secrets.due_for_expiry(now, _BATCH, unless_job=EXPIRE))


def due_for_rotation() -> DueSecrets:
    """Return the source of rotation jobs."""
    return DueSecrets(ROTATE, lambda unit, now: unit.secrets.due_for_rotation(now, _BATCH, unless_job=ROTATE))


class ExpirySteps:
    """Destroys the payloads of a secret whose time has come."""

    kind: Final = EXPIRE

    def __init__(self, context: Context) -> None:
        self._context = context

    def run(self, job: Job) -> Step:
        """Expire the secret, or wait until its locks are gone (certificates do not wait)."""
        return Commit(lambda unit: self._expire(unit, job))

    def _expire(self, unit: Unit, job: Job) -> Ended:
        now = self._context.now()
        secret = unit.secrets.find_for_update(job.secret_id) if job.secret_id is not None else None
        if secret is None or secret.state is not State.ACTIVE or secret.expires_at is None or secret.expires_at > now:
            return Done()
        certificate = secret.secret_type in CERTIFICATE_TYPES
        if secret.locks_total and not certificate:
            reason = locked().detail
            told = tell_daily(self._context.outbox, unit, job, EventType.EXPIRATION_BLOCKED, secret, now, reason)
            return Waiting("the locks on the secret", now + LOOK_AGAIN, told)
        unit.versions.erase_payloads_except(secret.id, ())
        unit.secrets.save(
            replace(
                secret,
                state=State.DESTROYED,
                updated_at=now,
                # Only certificates come back from expiry; nothing else rotates any more.
                next_rotation_at=secret.next_rotation_at if certificate else None,
            )
        )
        # The next notice of it is due in a day, however late this one was.
        unit.secrets.set_notice(secret.id, now + _TELL_AGAIN)
        self._context.outbox.emit(unit, EventType.EXPIRED, secret, by=SYSTEM.iam_id, at=now)
        self._context.outbox.emit(unit, EventType.DATA_REMOVED, secret, by=SYSTEM.iam_id, at=now)
        unit.audit(automatic_entry(Action.SECRET_EXPIRE, secret, now))
        return Done()


class RotationSteps:
    """Makes the next version of a secret whose policy says so."""

    kind: Final = ROTATE

    def __init__(self, context: Context, rotation: SecretRotation) -> None:
        self._context = context
        self._rotation = rotation

    def run(self, job: Job) -> Step:
        """Rotate, or wait: for a lock to go, or a day after a failure."""

        def look_up(unit: ReadUnit) -> tuple[Secret | None, bool]:
            found = unit.secrets.find(job.secret_id) if job.secret_id is not None else None
            return found, found is not None and is_held(unit, found)

        secret, waits = self._context.storage.read(look_up)
        if secret is None or not self._is_due(secret):
            return Done()
        if waits:
            # No key is made and no certificate signed for a rotation that cannot be.
            return Commit(lambda unit: self._wait_for_locks(unit, job))
        try:
            change = self._rotation.rotate(SYSTEM, secret, NewVersion(automatic=True, answer_carries_payload=False))
        except StrongroomError as error:
            failure = error
            return Commit(lambda unit: self._failed(unit, job, failure))

        def commit(unit: Unit) -> Ended:
            now = self._context.now()
            current = unit.secrets.find_for_update(secret.id)
            if current is None or not self._is_due(current):
                return Done()
            if is_held(unit, current):
                # Asked before the rotation itself does, which would write its event at every look.
                return self._held(unit, job, current, now)
            view = change.commit(unit)
            assert isinstance(view, VersionView)  # noqa: S101  (a lock on the previous version is all it refuses)
            if not view.version.payload_available:
                # It has only begun; whoever makes the version says so.
                return Done()
            unit.audit(automatic_entry(Action.SECRET_VERSION_CREATE, view.secret, now))
            return Done({"version_id": view.version.id})

        return Commit(commit)

    def _is_due(self, secret: Secret) -> bool:
        due = secret.next_rotation_at is not None and secret.next_rotation_at <= self._context.now()
        lives = secret.state is State.ACTIVE
        lives = lives or (secret.state is State.DESTROYED and secret.secret_type in CERTIFICATE_TYPES)
        return due and lives

    def _wait_for_locks(self, unit: Unit, job: Job) -> Ended:
        now = self._context.now()
        secret = unit.secrets.find_for_update(job.secret_id) if job.secret_id is not None else None
        if secret is None or not self._is_due(secret):
            return Done()
        if not is_held(unit, secret):
            return Waiting("its turn: the locks have just gone", now)
        return self._held(unit, job, secret, now)

    def _held(self, unit: Unit, job: Job, secret: Secret, now: datetime) -> Ended:
        told = tell_daily(self._context.outbox, unit, job, EventType.ROTATION_BLOCKED, secret, now, locked().detail)
        _show_status(unit, secret, "blocked")
        return Waiting("the locks on the previous version", now + LOOK_AGAIN, told)

    def _failed(self, unit: Unit, job: Job, error: StrongroomError) -> Ended:
        now = self._context.now()
        secret = unit.secrets.find_for_update(job.secret_id) if job.secret_id is not None else None
        if secret is None or not self._is_due(secret):
            # Somebody else has rotated it meanwhile, or has begun to: nothing failed.
            return Done()
        reason = _reason(error)
        told = tell_daily(self._context.outbox, unit, job, EventType.ROTATION_FAILED, secret, now, reason)
        _show_status(unit, secret, "failed")
        unit.audit(automatic_entry(Action.SECRET_VERSION_CREATE, secret, now, error))
        return Waiting(f"the next try; the last one failed: {reason}", now + _next_try(secret, now), told)


def _next_try(secret: Secret, now: datetime) -> timedelta:
    """Return how long to wait after a failure: a day, or half of what is left of a secret that expires sooner."""
    if secret.expires_at is None or secret.expires_at <= now:
        return _NEXT_TRY
    return min(_NEXT_TRY, max(LOOK_AGAIN, (secret.expires_at - now) / 2))


def tell_daily(
    outbox: Outbox, unit: Unit, job: Job, event: EventType, secret: Secret, now: datetime, reason: str
) -> dict[str, Any]:
    """Write an event of a job at once, then daily; return the job's data, which remember when that was."""
    told_at = job.data.get(event.value)
    if isinstance(told_at, int) and now < from_microseconds(told_at) + _TELL_AGAIN:
        return dict(job.data)
    outbox.emit(unit, event, secret, by=SYSTEM.iam_id, at=now, reason=reason)
    return {**job.data, event.value: to_microseconds(now)}


def _reason(error: StrongroomError) -> str:
    """Return what may be told; events and jobs are read by people who must not see the server's inside."""
    if isinstance(error, Integrity | Internal):
        return "The server could not open or store its data; its log says more."
    return error.detail


def _show_status(unit: Unit, secret: Secret, status: str) -> None:
    if secret.rotation_status != status:
        unit.secrets.save(replace(secret, rotation_status=status))


def automatic_entry(action: Action, secret: Secret, now: datetime, error: StrongroomError | None = None) -> AuditEntry:
    """Return the audit entry of something that the server did to a secret by itself."""
    reason = Reason(code=error.code.value, type=error.code.value, message=_reason(error)) if error is not None else None
    return AuditEntry(
        id=AuditId(new_uuid()),
        time=now,
        initiator=Initiator(id=SYSTEM.iam_id, name=SYSTEM.name, type=SYSTEM.kind.value),
        action=action.audit_name,
        target=Target(type="secret", id=secret.id, name=secret.name, secret_group_id=secret.group_id),
        outcome=Outcome.FAILURE if error is not None else Outcome.SUCCESS,
        reason=reason,
    )
