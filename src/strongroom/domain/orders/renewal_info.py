"""Asking CAs when they want certificates renewed. Source: RFC 9773; design, section 8 ("renewal time")."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Step, new_job
from strongroom.domain.orders.configured import PublicCa
from strongroom.domain.orders.context import CA, OrderContext
from strongroom.domain.orders.model import RenewalCheck
from strongroom.domain.orders.renewal_time import answered, unanswered
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.model import Secret, State, StoredPayload
from strongroom.kernel.errors import Integrity, Invalid, Unavailable, Upstream

RENEWAL_INFO: Final = "public_cert.renewal_info"
_AT_ONCE: Final = 10
_NEVER: Final = timedelta(days=1)
"""When to look again at a CA that offers no renewal information: it may begin to."""


class RenewalInfoSteps:
    """Asks about the certificates whose time has come, some at a time."""

    kind: Final = RENEWAL_INFO

    def __init__(self, context: OrderContext) -> None:
        self._context = context

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue the job if anything is to be asked."""
        if not unit.orders.renewal_checks_due(now, 1):
            return 0
        return int(unit.jobs.enqueue(new_job(RENEWAL_INFO, dedupe_key=RENEWAL_INFO, now=now)))

    def run(self, job: Job) -> Step:
        """Ask about some certificates and store what the CAs said."""
        now = self._context.now()
        due = self._context.secrets.storage.read(lambda unit: unit.orders.renewal_checks_due(now, _AT_ONCE))
        answers = [self._ask(check, now) for check in due]

        def commit(unit: Unit) -> Ended:
            for check, answer in zip(due, answers, strict=True):
                self._note(unit, check, answer)
            return Continue(job.step) if len(due) == _AT_ONCE else Done()

        return Commit(commit) if due else Done()

    def _ask(self, check: RenewalCheck, now: datetime) -> RenewalCheck | None:
        """Return the check as it is to be stored; ``None`` if the certificate is not of interest any more."""

        def read(unit: ReadUnit) -> tuple[StoredPayload | None, PublicCa | None]:
            found = unit.secrets.find_current(check.secret_id)
            if found is None:
                return None, None
            order = unit.orders.last_of_secret(check.secret_id)
            # A fallback may have issued it.
            is_its_own = order is not None and order.version_id == check.version_id
            name = order.ca if order is not None and is_its_own else found.secret.attributes[CA]
            return found, self._context.cas.account(unit, name)

        found, ca = self._context.secrets.storage.read(read)
        if found is None or found.sealed is None or ca is None or not _is_of_interest(found.secret, check):
            return None
        try:
            payload = self._context.secrets.vault.open_payload(found.version.id, found.sealed)
            window = self._context.session(ca).renewal_window(payload["certificate"])
        except (Unavailable, Upstream, Invalid, Integrity) as error:
            return unanswered(check, now, error.retry_after)
        if window is None:
            return replace(check, check_at=now + _NEVER, failures=0)
        return answered(check, window, now)

    def _note(self, unit: Unit, check: RenewalCheck, answer: RenewalCheck | None) -> None:
        known = unit.orders.find_renewal_check(check.secret_id)
        if known is None or known.version_id != check.version_id:
            return
        if answer is None:
            unit.orders.remove_renewal_check(check.secret_id)
            return
        unit.orders.put_renewal_check(answer)
        secret = unit.secrets.find_for_update(check.secret_id)
        if secret is None or not _is_of_interest(secret, check) or answer.renew_at is None:
            return
        planned = secret.next_rotation_at
        # A policy that is off, or an order that runs, is not woken; the rule's own time is the latest.
        if planned is not None and answer.renew_at < planned and secret.rotation_status == "none":
            unit.secrets.save(replace(secret, next_rotation_at=answer.renew_at))


def _is_of_interest(secret: Secret, check: RenewalCheck) -> bool:
    return secret.state is State.ACTIVE and secret.current_version_id == check.version_id
