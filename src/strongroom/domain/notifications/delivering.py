"""Sends what waits for a destination: one job for each, so that none waits for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.retry import LONGEST_WAIT
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Step, Waiting
from strongroom.domain.notifications.dispatch import DELIVER, delivery_job
from strongroom.domain.notifications.mail_room import MailRoom
from strongroom.domain.notifications.model import (
    Attempt,
    Delivery,
    DeliveryState,
    Destination,
    DestinationId,
    Notice,
)
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.kernel.clock import Clock

TRY_AGAIN: Final = (timedelta(minutes=5), timedelta(minutes=55), timedelta(hours=5), timedelta(hours=18))
"""Waits after the first four tries; the fifth, a day after the first, is the last."""
_PAUSE: Final = timedelta(minutes=1)
"""How long a destination that failed is left alone, and how late new notices for one that has failed go out."""
_STEP: Final = "start"
SWITCHED_OFF: Final = "The destination was switched off before it was sent."

Observer = Callable[[Destination, Delivery], None]


class Deliveries:
    """The jobs that send.

    Args:
        storage: where deliveries wait.
        clock: decides what is due.
        mail_room: sends.
        observe: hears of every try.
    """

    kind: Final = DELIVER

    def __init__(self, storage: Storage, clock: Clock, mail_room: MailRoom, observe: Observer) -> None:
        self._storage = storage
        self._clock = clock
        self._mail_room = mail_room
        self._observe = observe

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue the jobs of destinations with deliveries that are due and that no job is there for."""
        new = 0
        for destination in unit.notifications.listing():
            delivery = unit.notifications.next_delivery(destination.id)
            if delivery is not None and _is_due(delivery, now):
                new += unit.jobs.enqueue(delivery_job(destination, now))
        return new

    def run(self, job: Job) -> Step:
        """Send one delivery, the longest due; whoever dies before its outcome is stored sends it again."""
        destination_id = DestinationId(str(job.data["destination_id"]))

        def look_up(unit: ReadUnit) -> tuple[Destination | None, Delivery | None]:
            return unit.notifications.find(destination_id), unit.notifications.next_delivery(destination_id)

        destination, delivery = self._storage.read(look_up)
        if destination is None:
            return Done()
        if not destination.enabled:
            return Commit(lambda unit: self._give_up(unit, destination_id))
        if delivery is None:
            return Commit(lambda unit: self._end(unit, destination_id))
        if not _is_due(delivery, self._clock.now()):
            return self._wait(delivery)
        notice = Notice(
            id=delivery.event_id, event_type=delivery.event_type, at=delivery.created_at, payload=delivery.payload or {}
        )
        attempt = self._mail_room.send(destination, notice)
        return Commit(lambda unit: self._store(unit, destination, delivery, attempt))

    def _give_up(self, unit: Unit, destination_id: DestinationId) -> Ended:
        unit.notifications.end_deliveries(destination_id, self._clock.now(), SWITCHED_OFF)
        return Done()

    def _end(self, unit: Unit, destination_id: DestinationId) -> Ended:
        # Asked again under the job's fence: a delivery may have come just now, whose job would be this one.
        return (
            Done()
            if unit.notifications.next_delivery(destination_id) is None
            else Continue(_STEP, _data(destination_id))
        )

    def _wait(self, delivery: Delivery) -> Ended:
        soon = self._clock.now() + _PAUSE
        return Waiting("the next try of a delivery", min(delivery.next_try_at or soon, soon))

    def _store(self, unit: Unit, destination: Destination, delivery: Delivery, attempt: Attempt) -> Ended:
        now = self._clock.now()
        current = unit.notifications.find_delivery(delivery.id)
        if current is not None and current.state is DeliveryState.RETRYING:
            after = _after(current, attempt, now)
            unit.notifications.save_delivery(after)
            self._observe(destination, after)
        if attempt.success:
            return Continue(_STEP, _data(destination.id))
        return Waiting(f"the next try; the last one failed: {attempt.message}", now + _PAUSE)


def _is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.next_try_at is None or delivery.next_try_at <= now


def _data(destination_id: DestinationId) -> dict[str, str]:
    return {"destination_id": destination_id}


def _after(delivery: Delivery, attempt: Attempt, now: datetime) -> Delivery:
    """Return the delivery with what came of a try."""
    tried = replace(
        delivery,
        attempt=delivery.attempt + 1,
        answer_code=attempt.answer_code,
        message=attempt.message,
        sent_at=now,
        next_try_at=None,
    )
    if attempt.success:
        return replace(tried, state=DeliveryState.DELIVERED)
    if delivery.attempt >= len(TRY_AGAIN):
        return replace(tried, state=DeliveryState.FAILED)
    wait = max(TRY_AGAIN[delivery.attempt], min(attempt.retry_after or timedelta(), LONGEST_WAIT))
    return replace(tried, next_try_at=now + wait)
