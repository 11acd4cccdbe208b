"""Which notices are due about a certificate, worked out apart from the product, and what was told.

People hear of it when 90, 60, 30, 10, 1 and 0 whole days are left, on that day only. Source: contract
domain section 7.1.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from strongroom.kernel.time import format_rfc3339, from_microseconds

_DAYS = {90: "in_90_days", 60: "in_60_days", 30: "in_30_days", 10: "in_10_days", 1: "in_1_day", 0: "in_0_days"}
_DAY = timedelta(days=1)
_LATE = timedelta(minutes=10)
"""A server looks every minute, and is away for two when it was killed."""


@dataclass(frozen=True, slots=True)
class _Version:
    stored: datetime
    ends: datetime


@dataclass
class Notices:
    """Reads the outbox as it grows: what was issued, and what was told about it.

    Attributes:
        counts: of all types of events.
        expired: certificates that lapsed.
        serials: of everything stored.
        failed: first orders and renewals that failed, with the reason; whoever sees to them takes them out.
        stored: secrets that got a certificate, and when it ends; likewise.
    """

    counts: Counter[str] = field(default_factory=Counter)
    expired: list[str] = field(default_factory=list)
    serials: list[str] = field(default_factory=list)
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    stored: list[tuple[str, datetime]] = field(default_factory=list)
    _last: int = 0
    _versions: dict[str, list[_Version]] = field(default_factory=lambda: defaultdict(list))
    _told: dict[tuple[str, str, datetime], list[datetime]] = field(default_factory=lambda: defaultdict(list))

    def read(self, connection: sqlite3.Connection) -> None:
        """Take in what is new; the outbox forgets after a month."""
        rows = connection.execute(
            "SELECT pk, event_type, sub_type, secret_id, at, payload FROM events WHERE pk > ? ORDER BY pk", [self._last]
        ).fetchall()
        for pk, event_type, sub_type, secret_id, at, payload in rows:
            self._last = pk
            kind, details, when = event_type.rpartition(".")[2], json.loads(payload), from_microseconds(at)
            self.counts[kind] += 1
            if kind in {"secret_created", "secret_rotated"}:
                ends = datetime.fromisoformat(details["secret_expiration"])
                self._versions[secret_id].append(_Version(when, ends))
                self.serials.append(details["serial_number"])
                self.stored.append((secret_id, ends))
            elif kind == "secret_about_to_expire":
                self._told[secret_id, sub_type, datetime.fromisoformat(details["secret_expiration"])].append(when)
            elif kind == "secret_expired":
                self.expired.append(f"{details['secret_name']} at {when}")
            elif kind in {"secret_creation_failed", "secret_rotation_failed"}:
                self.failed.append((kind, secret_id, details["failure_reason"]))

    def told(self) -> dict[str, int]:
        """Return how many notices there were of each kind."""
        counts = Counter(sub_type for (_, sub_type, _), times in self._told.items() for _ in times)
        return {name: counts[name] for name in _DAYS.values()}

    def faults(self, until: datetime) -> list[str]:
        """Return notices that are missing, that came twice, and that should not have come."""
        found: list[str] = []
        known: set[tuple[str, str, datetime]] = set()
        for secret_id, versions in self._versions.items():
            followers = [*versions[1:], _Version(until, until)]
            for version, follower in zip(versions, followers, strict=True):
                for days, name in _DAYS.items():
                    key = (secret_id, name, version.ends)
                    begins = max(version.ends - (days + 1) * _DAY, version.stored)
                    if begins > version.ends - days * _DAY or follower.stored <= begins:
                        continue
                    known.add(key)
                    times = self._told.get(key, [])
                    must = follower.stored > begins + _LATE
                    if len(times) > 1 or (must and not times):
                        found.append(f"{name} of {secret_id}, which ends at {version.ends}: {len(times)} times")
                    found += [
                        f"{name} of {secret_id}, which ends at {version.ends}, came at {at}"
                        for at in times
                        if not begins <= at <= begins + _LATE
                    ]
        found += [f"{key[1]} of {key[0]}, which ends at {key[2]}, was not due" for key in self._told.keys() - known]
        return found

    def undelivered(self, received: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return notices that reached nobody, or reached somebody twice as different ones.

        Args:
            received: CloudEvents as they came; the same one may come again under its id.
        """
        notices = {notice["id"]: notice["data"] for notice in received}
        arrived = Counter(
            (secret["secret_id"].rpartition(":")[2], data["event_sub_type"], secret["secret_expiration"])
            for data in notices.values()
            for secret in data["secrets"]
        )
        told = Counter(
            (secret_id, name, format_rfc3339(ends))
            for (secret_id, name, ends), times in self._told.items()
            for _ in times
        )
        return [
            f"{key[1]} of {key[0]}, which ends at {key[2]}: told {told[key]} times, arrived {arrived[key]} times"
            for key in told | arrived
            if told[key] != arrived[key]
        ]
