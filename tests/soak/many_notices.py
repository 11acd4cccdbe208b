"""A store full of secrets on the day that many of them are to be told of: what each step of the notices takes.

A step is one unit of work, and on SQLite nobody else writes meanwhile: the longest is what counts. Run it with
``python -m tests.soak.many_notices --secrets 1000000 --data-dir EMPTY_FOLDER``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from strongroom.domain.jobs.steps import Commit, Done, Step, Waiting, new_job
from strongroom.domain.notifications.dispatch import DISPATCH, Dispatch
from strongroom.domain.notifications.expiry import TELL, ExpiryNotices
from strongroom.domain.notifications.model import Destination, DestinationId, DestinationType
from strongroom.domain.notifications.payload import Source
from strongroom.domain.ports import Storage, Unit
from strongroom.domain.secrets.events import Outbox
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.ids import IamId, Instance
from strongroom.storage.engine import open_engine
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.store import open_storage
from tests.soak.seed import NOW, add_target, seed, target_of

_INSTANCE: Final = Instance(id="instance", account_id="account", region="local")
_LONG_AGO: Final = NOW - timedelta(days=10_000)
_BATCH_OF_ALL: Final = 10_000_000
_LOOK_EVERY: Final = 50
_TIMES: Final = 50


@dataclass
class Took:
    """Milliseconds of the steps of one job, in order."""

    steps: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        """Return number, sum, mean and maximum."""
        if not self.steps:
            return "no steps"
        total = sum(self.steps)
        mean, longest = total / len(self.steps), max(self.steps)
        return f"{len(self.steps)} steps in {total / 1e3:.1f} s, {mean:.1f} ms each, the longest {longest:.1f} ms"


@dataclass
class Report:
    """What a run took.

    Attributes:
        idle: milliseconds of a look at a store that nothing is due in, with the outbox full of what was told.
        told: steps that wrote events.
        grouped: steps that made deliveries of the events.
        events: how many were written.
        deliveries: how many wait for their destinations.
        next_delivery: milliseconds of the search for the next of one destination.
    """

    idle: float = 0.0
    told: Took = field(default_factory=Took)
    grouped: Took = field(default_factory=Took)
    events: int = 0
    deliveries: int = 0
    next_delivery: float = 0.0

    def lines(self) -> Iterator[str]:
        """Yield the report."""
        yield f"expiry: {self.events} events; {self.told}"
        yield f"dispatch: {self.deliveries} deliveries; {self.grouped}"
        yield f"a look with nothing due: {self.idle:.2f} ms; the next delivery: {self.next_delivery:.2f} ms"


def measure(storage: Storage, *, destinations: int, most_events: int) -> Report:
    """Let the secrets of a seeded store be told of, and make deliveries for some destinations.

    Args:
        storage: as `seed` left it.
        destinations: how many hear of everything.
        most_events: where to end; a seeded store has far more to tell on its first day than a living one.
    """
    report, clock = Report(), FrozenClock(NOW)
    expiry = ExpiryNotices(clock, Outbox(_INSTANCE))
    dispatch = Dispatch(clock, Source(instance=_INSTANCE, public_url="https://strongroom.example.com"))
    storage.write(lambda unit: _add_destinations(unit, destinations))
    for took in _steps(storage, lambda: expiry.run(new_job(TELL, dedupe_key=TELL, now=NOW))):
        report.told.steps.append(took)
        # Not every secret that is looked at is told of.
        if len(report.told.steps) % _LOOK_EVERY == 0 and _waiting(storage, most_events) == most_events:
            break
    report.events = _waiting(storage, _BATCH_OF_ALL)
    for took in _steps(storage, lambda: dispatch.run(new_job(DISPATCH, dedupe_key=DISPATCH, now=NOW))):
        report.grouped.steps.append(took)
    report.deliveries = storage.read(lambda unit: unit.notifications.open_deliveries())
    first = _destination_id(0)
    report.next_delivery = _mean(lambda: storage.read(lambda unit: unit.notifications.next_delivery(first)))

    def look(unit: Unit) -> int:
        return expiry.enqueue_due(unit, _LONG_AGO) + dispatch.enqueue_due(unit, _LONG_AGO)

    report.idle = _mean(lambda: storage.write(look))
    return report


def _waiting(storage: Storage, most: int) -> int:
    return storage.write(lambda unit: len(unit.events.waiting(most)))


def _add_destinations(unit: Unit, count: int) -> None:
    for number in range(count):
        unit.notifications.add(
            Destination(
                id=_destination_id(number),
                name=f"destination {number}",
                destination_type=DestinationType.EMAIL,
                created_at=NOW,
                created_by=IamId("IBMid-somebody"),
                updated_at=NOW,
            )
        )


def _destination_id(number: int) -> DestinationId:
    return DestinationId(f"destination-{number}")


def _steps(storage: Storage, run: Callable[[], Step]) -> Iterator[float]:
    """Do the steps of a job until it ends or waits; yield the milliseconds of each."""
    while True:
        step = run()
        assert isinstance(step, Commit)
        began = time.perf_counter()
        ended = storage.write(step.fn)
        yield (time.perf_counter() - began) * 1e3
        if isinstance(ended, Done | Waiting):
            return


def _mean(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(_TIMES):
        call()
    return (time.perf_counter() - began) * 1e3 / _TIMES


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", type=int, default=1_000_000, help="secrets in the store (1,000,000)")
    parser.add_argument("--events", type=int, default=100_000, help="how many are to be told of (100,000)")
    parser.add_argument("--destinations", type=int, default=10, help="how many hear of everything (10)")
    add_target(parser)
    arguments = parser.parse_args()
    url = target_of(arguments)
    engine = open_engine(url, read_pool=1)
    ensure_schema(engine)
    seed(engine, secrets=arguments.secrets, groups=200, payload_bytes=32)
    engine.close()
    store = open_storage(url, stream="notices", read_pool=2)
    report = measure(store, destinations=arguments.destinations, most_events=arguments.events)
    store.close()
    sys.stdout.writelines(f"{line}\n" for line in report.lines())
    return 0


if __name__ == "__main__":
    sys.exit(main())
