"""What people see of orders and of coming renewals. Source: design, section 12 ("Jobs and orders")."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require, require_group
from strongroom.domain.access.principals import Principal
from strongroom.domain.jobs.model import Job, JobError, JobQuery, JobState
from strongroom.domain.orders.context import ORDER
from strongroom.domain.orders.model import Order, RenewalCheck
from strongroom.domain.ports import ReadUnit
from strongroom.domain.secrets.lookup import visible_groups
from strongroom.domain.secrets.model import RenewalQuery, Secret, SecretType
from strongroom.kernel.errors import ErrorCode, NotFound
from strongroom.kernel.ids import GroupId, JobId, SecretId, is_uuid
from strongroom.kernel.result import Page
from strongroom.kernel.value import value


@value
class OrderView:
    """An order with the job that works on it.

    Attributes:
        order: ``None`` once it is forgotten.
        secret: ``None`` once it is deleted.
    """

    job: Job
    order: Order | None
    secret: Secret | None


class RenewalTrigger(StrEnum):
    """What says when a certificate or a password is renewed.

    ``ari`` is the CA's own window (RFC 9773), ``life`` a fraction of the certificate's, ``policy`` an interval.
    """

    ARI = "ari"
    LIFE = "life"
    POLICY = "policy"


@value
class RenewalView:
    """A secret that will be renewed by itself.

    Attributes:
        renew_at: in the past while it is being tried.
        blocked_by: names of the locks on its previous version, which has to go.
        last_error: why the last try failed, if it did.
        explanation_url: where the CA tells why it wants that, if it does. Source: RFC 9773 section 4.2.
    """

    secret: Secret
    renew_at: datetime
    trigger: RenewalTrigger
    blocked_by: tuple[str, ...] = ()
    last_error: JobError | None = None
    explanation_url: str | None = None


class OrderViews:
    """Orders and renewals of the caller's secret groups."""

    def orders(
        self,
        unit: ReadUnit,
        principal: Principal,
        *,
        limit: int,
        offset: int = 0,
        state: JobState | None = None,
        secret_id: SecretId | None = None,
        groups: frozenset[GroupId] | None = None,
    ) -> Page[OrderView]:
        """Return orders, newest first.

        Raises:
            Forbidden: the caller may see jobs nowhere.
        """
        page = unit.jobs.page(
            JobQuery(
                limit=limit,
                offset=offset,
                kind=ORDER,
                state=state,
                secret_id=secret_id,
                groups=visible_groups(principal, Action.JOBS_LIST, groups),
                include_instance=False,
            )
        )
        orders = unit.orders.find_many([job.id for job in page.items])
        secrets = unit.secrets.find_many([job.secret_id for job in page.items if job.secret_id is not None])
        views = [
            OrderView(
                job=job,
                order=orders.get(job.id),
                secret=None if job.secret_id is None else secrets.get(job.secret_id),
            )
            for job in page.items
        ]
        return Page(items=views, total=page.total, limit=limit, offset=offset)

    def order(self, unit: ReadUnit, principal: Principal, order_id: str) -> OrderView:
        """Return one order.

        Raises:
            Forbidden: it is about a secret outside the caller's groups, or the caller may see no jobs.
            NotFound: there is no such order.
        """
        require(principal, Action.JOBS_LIST)
        job = unit.jobs.find(JobId(order_id)) if is_uuid(order_id) else None
        if job is None or job.kind != ORDER or job.secret_id is None or job.group_id is None:
            _not_found()
        require_group(principal, Action.JOBS_LIST, job.group_id)
        return OrderView(job=job, order=unit.orders.find(job.id), secret=unit.secrets.find(job.secret_id))

    def renewals(
        self,
        unit: ReadUnit,
        principal: Principal,
        *,
        limit: int,
        offset: int = 0,
        before: datetime | None = None,
        groups: frozenset[GroupId] | None = None,
    ) -> Page[RenewalView]:
        """Return what will be renewed by itself, soonest first.

        Raises:
            Forbidden: the caller may see jobs nowhere.
        """
        visible = visible_groups(principal, Action.JOBS_LIST, groups)
        page = unit.secrets.renewals(RenewalQuery(limit=limit, offset=offset, groups=visible, before=before))
        return Page(
            items=[_renewal(unit, secret, renew_at) for secret, renew_at in page.items],
            total=page.total,
            limit=limit,
            offset=offset,
        )


def _renewal(unit: ReadUnit, secret: Secret, renew_at: datetime) -> RenewalView:
    blocked_by: tuple[str, ...] = ()
    if secret.locks_total and secret.previous_version_id is not None:
        blocked_by = unit.locks.names(secret.id).get(secret.previous_version_id, ())
    last_error = None
    if secret.rotation_status != "none":
        job = unit.jobs.last_of_secret(secret.id)
        last_error = None if job is None else job.last_error
    check = _check(unit, secret)
    trigger = _trigger(secret, check, renew_at)
    return RenewalView(
        secret=secret,
        renew_at=renew_at,
        trigger=trigger,
        explanation_url=check.explanation_url if check is not None and trigger is RenewalTrigger.ARI else None,
        blocked_by=blocked_by,
        last_error=last_error,
    )


def _check(unit: ReadUnit, secret: Secret) -> RenewalCheck | None:
    """Return what the CA said about the present certificate."""
    if secret.secret_type is not SecretType.PUBLIC_CERT:
        return None
    check = unit.orders.find_renewal_check(secret.id)
    return check if check is not None and check.version_id == secret.current_version_id else None


def _trigger(secret: Secret, check: RenewalCheck | None, renew_at: datetime) -> RenewalTrigger:
    if secret.secret_type is not SecretType.PUBLIC_CERT:
        return RenewalTrigger.POLICY
    if check is None or check.renew_at is None:
        return RenewalTrigger.LIFE
    # What the CA says counts only where it is sooner than our own rule.
    return RenewalTrigger.ARI if check.renew_at <= renew_at else RenewalTrigger.LIFE


def _not_found() -> NoReturn:
    raise NotFound(ErrorCode.NOT_FOUND, "The order was not found.")
