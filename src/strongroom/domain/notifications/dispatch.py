"""Makes notices of the events in the outbox, and deliveries of the notices.

One job of the whole instance groups what waits by event, secret type and expiry detail. Marking the events and
writing the deliveries is one commit, so no event is lost, and none is told of twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Step, Waiting, new_job
from strongroom.domain.notifications.model import (
    SECRETS_PER_NOTICE,
    Delivery,
    DeliveryId,
    Destination,
    EventId,
    WaitingEvent,
)
from strongroom.domain.notifications.payload import TEST_EVENT, Source
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.events import PREFIX
from strongroom.kernel.clock import Clock
from strongroom.kernel.ids import new_uuid

DISPATCH: Final = "notifications.dispatch"
DELIVER: Final = "notifications.deliver"
_EVERY: Final = timedelta(minutes=1)
_BATCH: Final = 1000
_SHARES: Final = 5000
"""Events times destinations of one step: on SQLite nobody else writes meanwhile."""
_STEP: Final = "start"

_Kind = tuple[str, str, str | None]


class Dispatch:
    """The job that empties the outbox."""

    kind: Final = DISPATCH

    def __init__(self, clock: Clock, source: Source) -> None:
        self._clock = clock
        self._source = source

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue the job if events wait."""
        if not unit.events.waiting(1):
            return 0
        return int(unit.jobs.enqueue(new_job(DISPATCH, dedupe_key=DISPATCH, now=now)))

    def run(self, job: Job) -> Step:
        """Make deliveries of what waits, and gather for a minute before the next look; end when nothing came."""
        return Commit(self._empty)

    def _empty(self, unit: Unit) -> Ended:
        now = self._clock.now()
        destinations = [destination for destination in unit.notifications.listing() if destination.enabled]
        # Never less than fills a notice: smaller batches would make more notices of the same events.
        batch = min(_BATCH, max(SECRETS_PER_NOTICE, _SHARES // max(1, len(destinations))))
        events = unit.events.waiting(batch)
        if not events:
            return Done()
        ids: dict[tuple[int, ...], EventId] = {}

        def id_of(part: Sequence[WaitingEvent]) -> EventId:
            # The same notice has the same id at every destination.
            return ids.setdefault(tuple(event.pk for event in part), EventId(new_uuid()))

        for destination in destinations:
            added = False
            for kind, part in _notices(destination, events):
                event_type, sub_type, secret_type = kind
                payload = self._source.payload(
                    event_type, sub_type=sub_type, secret_type=secret_type, items=[event.payload for event in part]
                )
                added = _add(unit, destination, event_type, id_of(part), payload, now) or added
            if added:
                unit.jobs.enqueue(delivery_job(destination, now))
        unit.events.noticed(events, now)
        return Continue(_STEP) if len(events) == batch else Waiting("the next events", now + _EVERY)

    def send_test(self, unit: Unit) -> None:
        """Make deliveries of a test event to every destination that is switched on; filters do not apply."""
        now, event_id = self._clock.now(), EventId(new_uuid())
        for destination in unit.notifications.listing():
            if destination.enabled:
                _add(unit, destination, TEST_EVENT, event_id, self.test_payload(), now)
                unit.jobs.enqueue(delivery_job(destination, now))

    def test_payload(self) -> dict[str, Any]:
        """Return the payload of a test event."""
        return self._source.payload(TEST_EVENT, items=())


def delivery_job(destination: Destination, now: datetime) -> Job:
    """Return the job that sends what waits for a destination."""
    key = f"{DELIVER}:{destination.id}"
    return new_job(DELIVER, dedupe_key=key, now=now, data={"destination_id": destination.id})


def _notices(
    destination: Destination, events: Sequence[WaitingEvent]
) -> Iterator[tuple[_Kind, Sequence[WaitingEvent]]]:
    """Yield what a destination hears of, by kind, each notice with no more secrets than allowed."""
    groups: dict[_Kind, list[WaitingEvent]] = {}
    lets_through: Callable[[str, str | None, Any], bool] = destination.filters.let_through
    for event in events:
        secret_type = _secret_type(event.payload)
        if lets_through(event.event_type.removeprefix(PREFIX), secret_type, event.group_id):
            groups.setdefault((event.event_type, event.sub_type, secret_type), []).append(event)
    for kind, group in groups.items():
        for start in range(0, len(group), SECRETS_PER_NOTICE):
            yield kind, group[start : start + SECRETS_PER_NOTICE]


def _secret_type(payload: Mapping[str, Any]) -> str | None:
    found = payload.get("secret_type")
    return found if isinstance(found, str) else None


def _add(
    unit: Unit,
    destination: Destination,
    event_type: str,
    event_id: EventId,
    payload: Mapping[str, Any],
    now: datetime,
) -> bool:
    return unit.notifications.add_delivery(
        Delivery(
            id=DeliveryId(new_uuid()),
            destination_id=destination.id,
            event_type=event_type,
            event_id=event_id,
            created_at=now,
            next_try_at=now,
            payload=payload,
        )
    )
