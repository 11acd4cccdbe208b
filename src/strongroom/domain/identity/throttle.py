"""Failed logins, counted in a moving window."""

from __future__ import annotations

import ipaddress
import threading
from collections import deque
from datetime import datetime, timedelta
from typing import Final

from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, LimitReached

WINDOW: Final = timedelta(minutes=1)
_SUBJECTS_MAX: Final = 10_000
_IPV6_PREFIX: Final = 64
"""What one customer usually holds; counting single addresses would count nothing."""


class FailedLogins:
    """Refuses further attempts of an address or on a key after too many failures within a minute.

    Kept in memory and by each process for itself: a restart forgets it, which costs an attacker
    more than it gives.

    Args:
        limit: failures within a minute; 0 switches it off.
        clock: tells the time.
        subjects_max: how many addresses, and how many keys, are remembered at once.
    """

    def __init__(self, limit: int, clock: Clock, *, subjects_max: int = _SUBJECTS_MAX) -> None:
        self._limit = limit
        self._clock = clock
        self._subjects_max = subjects_max
        self._lock = threading.Lock()
        # Two tables, so that trying many keys does not push one's own address out.
        self._addresses: dict[str, deque[datetime]] = {}
        self._keys: dict[str, deque[datetime]] = {}

    def check(self, address: str | None, key: str | None = None) -> None:
        """Refuse an attempt that comes too soon.

        Args:
            address: where it comes from.
            key: what it tries: a digest or a user name, never the key itself.

        Raises:
            LimitReached: ``too_many_attempts``, with the time after which it makes sense again.
        """
        if not self._limit:
            return
        now = self._clock.now()
        with self._lock:
            waits = [self._wait(self._addresses.get(network_of(address)), now)]
            if key is not None:
                waits.append(self._wait(self._keys.get(key), now))
        wait = max(waits)
        if wait:
            raise LimitReached(
                ErrorCode.TOO_MANY_ATTEMPTS,
                f"Too many logins failed: {self._limit} within a minute are the limit; wait before the next one.",
                retry_after=wait,
            )

    def failed(self, address: str | None, key: str | None = None) -> None:
        """Note a failure."""
        if not self._limit:
            return
        now = self._clock.now()
        with self._lock:
            self._note(self._addresses, network_of(address), now)
            if key is not None:
                self._note(self._keys, key, now)

    def _wait(self, failures: deque[datetime] | None, now: datetime) -> timedelta:
        if failures is None:
            return timedelta()
        recent = [at for at in failures if now - at < WINDOW]
        if len(recent) < self._limit:
            return timedelta()
        return recent[-self._limit] + WINDOW - now

    def _note(self, table: dict[str, deque[datetime]], subject: str, now: datetime) -> None:
        failures = table.pop(subject, None)
        if failures is None:
            failures = deque(maxlen=self._limit)
        failures.append(now)
        table[subject] = failures  # at the end: the first one is the one that was quiet for longest
        if len(table) > self._subjects_max:
            del table[next(iter(table))]


def network_of(address: str | None) -> str:
    """Return whom failures of an address are counted against: itself, or its network of IPv6."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
    return str(found)
