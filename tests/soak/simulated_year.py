"""A year of public certificates in minutes: the clock jumps from one event to the next.

A fleet of certificates that live 90, 45 and 6 days (and some of 100 days that people renew by hand, late) is ordered
and renewed while CAs are away for three days, the DNS fails, limits are hit and the server is killed. Run it with
``python -m tests.soak.simulated_year --certificates 1000 --days 365 --seed 1``.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from strongroom.kernel.time import to_microseconds
from tests.soak.year_notices import Notices
from tests.soak.year_world import CROWDED, DAY, SHOPS, Weather, World, forecast, world

_HOUR = timedelta(hours=1)
_SETTLING = timedelta(days=2)
"""Without trouble, at the end."""
_LIMIT_REASONS = ("The CA allows", "asked to be left alone", "too many:")


@dataclass
class Report:
    """What a run did and found; the lists are empty when all is well.

    Attributes:
        limits: the most that was used at one time of what the first CA allows.
    """

    seed: int
    certificates: int
    days: int
    orders: dict[str, int] = field(default_factory=dict)
    issued: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    notices_received: int = 0
    weather: dict[str, int] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    refused_by_ledger: int = 0
    refused_by_cas: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    killed_in_a_call: int = 0
    steps: int = 0
    turns: int = 0
    seconds: float = 0.0
    lapsed: list[str] = field(default_factory=list)
    not_issued: list[str] = field(default_factory=list)
    limits_exceeded: list[str] = field(default_factory=list)
    too_soon: list[str] = field(default_factory=list)
    wrong_notices: list[str] = field(default_factory=list)
    lost_certificates: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Return everything that should not be."""
        return [
            f"{name}: {item}"
            for name in (
                "lapsed",
                "not_issued",
                "limits_exceeded",
                "too_soon",
                "wrong_notices",
                "lost_certificates",
                "left_behind",
            )
            for item in getattr(self, name)
        ]


@dataclass
class _Wanted:
    """A certificate of the fleet."""

    name: str
    ca: str
    names: tuple[str, ...]
    by_hand: bool
    rotate_keys: bool
    secret_id: str | None = None
    issued: bool = False


def fleet(chance: random.Random, certificates: int) -> list[_Wanted]:
    """Return what is wanted: most for 90 days at a CA with limits, a part of them below one domain."""
    wanted = []
    for number in range(certificates):
        place = (number * 37) % 100
        by_hand = place >= 90
        ca = "long-ca" if by_hand else "spare-ca" if place >= 87 else "short-ca" if place >= 80 else "plain-ca"
        if place < 60:
            ca = "web-ca"
        domain = CROWDED if place < 12 else SHOPS[number % len(SHOPS)]
        host = f"host{number}.{domain}"
        names = (host,) if chance.random() < 0.7 else (host, f"*.{host}")
        wanted.append(
            _Wanted(
                name=f"certificate-{number}", ca=ca, names=names, by_hand=by_hand, rotate_keys=chance.random() < 0.3
            )
        )
    return wanted


class Year:
    """Drives the world; people order, renew by hand, and order anew what failed."""

    def __init__(self, world: World, chance: random.Random, report: Report) -> None:
        self._world = world
        self._chance = chance
        self._report = report
        self._fleet = fleet(chance, report.certificates)
        self._by_id: dict[str, _Wanted] = {}
        self._agenda: list[tuple[datetime, int, Any, Any]] = []
        self._number = itertools.count()
        self._notices = Notices()
        self._counts: Counter[str] = Counter()
        self._silent_until = world.clock.now()

    def run(self) -> None:
        """Live through the days, then judge them."""
        start = self._world.clock.now()
        end = start + self._report.days * DAY
        for item in self._fleet:
            # All within a few hours: more than the CA takes.
            self._at(start + self._chance.random() * 6 * _HOUR, self._order, item)
        for weather in forecast(self._chance, start, self._report.days):
            self._at(weather.at, self._happen, weather)
        while self._world.clock.now() < end:
            self._turn(end)
        self._judge()

    def _at(self, at: datetime, do: Any, what: Any) -> None:
        heapq.heappush(self._agenda, (at, next(self._number), do, what))

    def _turn(self, end: datetime) -> None:
        now = self._world.clock.now()
        while self._agenda and self._agenda[0][0] <= now:
            _, _, do, what = heapq.heappop(self._agenda)
            do(what)
        self._world.work()
        self._notices.read(self._world.connection)
        self._see_to_what_happened()
        following = self._world.next_event()
        if self._agenda:
            following = min(following, max(self._agenda[0][0], now + timedelta(seconds=1)))
        self._world.move_to(max(min(following, end), self._world.clock.now()))

    # What people do.

    def _order(self, item: _Wanted) -> None:
        body = {
            "secret_type": "public_cert",
            "name": item.name,
            "ca": item.ca,
            "dns": "my-dns",
            "common_name": item.names[0],
            "alt_names": list(item.names[1:]),
            "key_algorithm": "ECDSA256",
            "rotation": {"auto_rotate": not item.by_hand, "rotate_keys": item.rotate_keys},
        }
        answer = self._world.ask("POST", "/api/v2/secrets", body, 201)
        item.secret_id = answer.json["id"]
        self._by_id[answer.json["id"]] = item

    def _rotate(self, item: _Wanted) -> None:
        """Renew by hand; an order may be on its way already."""
        path, body = f"/api/v2/secrets/{item.secret_id}/versions", {"rotation": {"rotate_keys": item.rotate_keys}}
        self._world.ask("POST", path, body, 201, 409)

    def _see_to_what_happened(self) -> None:
        now = self._world.clock.now()
        for secret_id, ends in self._notices.stored:
            item = self._by_id[secret_id]
            item.issued = True
            if item.by_hand:
                self._at(ends - self._chance.uniform(12, 20) * _HOUR, self._rotate, item)
        for kind, secret_id, reason in self._notices.failed:
            item = self._by_id[secret_id]
            self._report.refused_by_ledger += any(word in reason for word in _LIMIT_REASONS)
            if kind == "secret_creation_failed":
                self._world.ask("DELETE", f"/api/v2/secrets/{secret_id}", None, 204)
                del self._by_id[secret_id]
                item.secret_id = None
                self._at(now + self._chance.uniform(4, 30) * _HOUR, self._order, item)
            elif item.by_hand:
                self._at(now + _HOUR, self._rotate, item)
        self._notices.stored.clear()
        self._notices.failed.clear()
        first = self._world.earliest_end()
        if first is not None and first <= now:
            self._report.lapsed.append(f"a certificate ended at {first}, it is {now}")

    # What happens to them.

    def _happen(self, weather: Weather) -> None:
        world, until = self._world, weather.at + weather.lasts
        self._counts[weather.what] += 1
        if weather.what in world.cas:
            ca = world.cas[weather.what]
            ca.outage_until = max(ca.outage_until or until, until)
        elif weather.what == "provider":
            world.dns.outage_until = until
        elif weather.what == "name servers":
            world.dns.silent_until = until
        elif weather.what == "lag":
            world.dns.lag = timedelta(seconds=self._chance.randrange(5, 240))
            self._at(until, self._lag_ends, None)
        elif weather.what == "no renewal information":
            world.cas["web-ca"].offers_renewal_info = False
            self._silent_until = max(self._silent_until, until)
            self._at(until, self._renewal_information_is_back, None)
        elif weather.what == "a name fails":
            self._fail(until)
        elif weather.what == "receiver":
            world.receiver.statuses[:] = [503] * self._chance.randrange(1, 4)
        elif weather.what == "kill":
            world.come_back()
        else:
            world.chance.arm()

    def _lag_ends(self, _: None) -> None:
        self._world.dns.lag = timedelta()

    def _renewal_information_is_back(self, _: None) -> None:
        self._world.cas["web-ca"].offers_renewal_info = self._world.clock.now() >= self._silent_until

    def _fail(self, until: datetime) -> None:
        """Let the CA fail to validate a name that somebody renews by hand, again and again."""
        issued = [item for item in self._fleet if item.issued and item.ca == "web-ca" and not item.by_hand]
        if not issued:
            return
        item, now = self._chance.choice(issued), self._world.clock.now()
        self._world.cas["web-ca"].failing[item.names[0]] = "unauthorized"
        self._at(until, self._works_again, item)
        for number in range(8):
            self._at(now + number * timedelta(minutes=6), self._rotate, item)
        # And one that is renewed for no reason.
        other = self._chance.choice(issued)
        for number in range(9):
            self._at(now + number * 3 * _HOUR, self._rotate, other)

    def _works_again(self, item: _Wanted) -> None:
        self._world.cas["web-ca"].failing.pop(item.names[0], None)

    # What came of it.

    def _judge(self) -> None:
        self._calm_down()
        world, report, notices = self._world, self._report, self._notices
        end = world.clock.now()
        report.orders = {name: len(ca.orders) for name, ca in world.cas.items()}
        report.issued = {name: len(ca.certificates) for name, ca in world.cas.items()}
        report.events = dict(notices.counts)
        report.notices = notices.told()
        report.weather = dict(self._counts)
        report.restarts, report.killed_in_a_call = world.restarts, world.killed
        report.steps, report.turns = world.steps, world.turns
        report.refused_by_cas = {name: len(ca.refusals) for name, ca in world.cas.items()}
        first = world.cas["web-ca"]
        report.limits = {kind: f"{first.fullest[kind]} of {limit.count}" for kind, limit in first.limits.items()}
        report.lapsed += notices.expired
        report.not_issued = [f"{item.name} at {item.ca}" for item in self._fleet if not item.issued]
        report.limits_exceeded = [f"{kind} {subject} at {at}" for kind, subject, at in world.cas["web-ca"].refusals]
        report.too_soon = [f"{name}: {text}" for name, ca in world.cas.items() for text in ca.too_soon]
        report.notices_received = len(world.receiver.received)
        report.wrong_notices = notices.faults(end)
        report.wrong_notices += notices.undelivered(received.json for received in world.receiver.received)
        report.wrong_notices += [
            f"a delivery was {state} after {attempt} tries"
            for state, attempt in world.connection.execute(
                "SELECT state, attempt FROM notification_deliveries WHERE state != 'delivered'"
            )
        ]
        stored = Counter(serial.replace(":", "").lower().lstrip("0") for serial in notices.serials)
        made = {id_: name for name, ca in world.cas.items() for id_ in ca.certificates}
        report.lost_certificates = [f"{made[id_]}: {id_} was never stored" for id_ in made.keys() - stored.keys()]
        report.lost_certificates += [f"{id_} was stored {count} times" for id_, count in stored.items() if count != 1]
        report.left_behind = [f"TXT record {record.name}" for record in world.dns.left]
        report.left_behind += [
            f"job {kind} at {step}, {state}, {waiting_for}, {error}"
            for kind, step, state, waiting_for, error in world.connection.execute(
                "SELECT kind, step, state, waiting_for, last_error FROM jobs WHERE kind LIKE 'public_cert.%' "
                "AND state IN ('queued', 'running', 'waiting') AND run_at < ?",
                [to_microseconds(end - _HOUR)],
            )
        ]

    def _calm_down(self) -> None:
        """Give everything that waits its time, with nothing in the way."""
        world = self._world
        for ca in world.cas.values():
            ca.outage_until = None
            ca.failing.clear()
        world.dns.outage_until = world.dns.silent_until = None
        world.dns.lag = timedelta()
        world.chance.left = None
        self._agenda = [item for item in self._agenda if item[2] in (self._order, self._rotate)]
        heapq.heapify(self._agenda)
        end = world.clock.now() + _SETTLING
        while world.clock.now() < end:
            self._turn(end)


def run(folder: Path, *, certificates: int, days: int, seed: int) -> Report:
    """Simulate some days of some certificates and return what was found."""
    chance = random.Random(seed)
    report = Report(seed=seed, certificates=certificates, days=days)
    started = time.monotonic()
    with world(folder / "data", chance, certificates=certificates, days=days) as made:
        made.configure()
        Year(made, chance, report).run()
    report.seconds = round(time.monotonic() - started, 1)
    return report


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the store is kept while it runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        report = run(Path(folder), certificates=options.certificates, days=options.days, seed=options.seed)
    print(json.dumps(asdict(report), indent=1))  # noqa: T201  (its whole output)
    return 1 if report.faults() else 0


if __name__ == "__main__":
    raise SystemExit(main())
