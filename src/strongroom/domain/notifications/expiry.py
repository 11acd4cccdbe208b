"""Tells in time that secrets end, and daily that they have ended.

When to look next is kept with each secret and indexed, so that a million secrets cost nothing until their day has come.
It moves in the same commit that writes the event: nobody is told twice, whoever is killed and however many servers
there are. A day without a server is not made up for.

Source: contract domain section 7.1.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Step, new_job
from strongroom.domain.notifications.ladder import NOTICE_DAYS, days_left, next_look, sub_type
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.events import EventType, Outbox
from strongroom.domain.secrets.model import Secret, State
from strongroom.kernel.clock import Clock

TELL: Final = "secret.notice"
_BATCH: Final = 100
_DAY: Final = timedelta(days=1)
_STEP: Final = "start"


class ExpiryNotices:
    """Finds secrets whose day has come, and writes the events."""

    kind: Final = TELL

    def __init__(self, clock: Clock, outbox: Outbox) -> None:
        self._clock = clock
        self._outbox = outbox

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue the one job that walks over what is due."""
        if not unit.secrets.due_for_notice(now, 1):
            return 0
        return int(unit.jobs.enqueue(new_job(TELL, dedupe_key=TELL, now=now)))

    def run(self, job: Job) -> Step:
        """Tell of some secrets."""
        return Commit(self._tell)

    def _tell(self, unit: Unit) -> Ended:
        now = self._clock.now()
        due = unit.secrets.due_for_notice(now, _BATCH)
        for secret_id in due:
            secret = unit.secrets.find_for_update(secret_id)
            if secret is not None:
                self._tell_of(unit, secret, now)
        return Continue(_STEP) if len(due) == _BATCH else Done()

    def _tell_of(self, unit: Unit, secret: Secret, now: datetime) -> None:
        end = secret.expires_at
        if end is None:
            unit.secrets.set_notice(secret.id, None)
            return
        days = days_left(end, now)
        if end > now and secret.state is State.ACTIVE and days in NOTICE_DAYS:
            by = SYSTEM.iam_id
            self._outbox.emit(unit, EventType.ABOUT_TO_EXPIRE, secret, by=by, at=now, sub_type=sub_type(days))
        elif end <= now and secret.state is State.DESTROYED:
            # That it expires is told with the destruction itself; this is a day later, and every day from then on.
            self._outbox.emit(unit, EventType.EXPIRED, secret, by=SYSTEM.iam_id, at=now)
            unit.secrets.set_notice(secret.id, now + _DAY)
            return
        unit.secrets.set_notice(secret.id, next_look(end, now))
