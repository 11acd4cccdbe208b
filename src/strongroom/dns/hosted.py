"""What providers with a list of zones have in common: they find the zone, and add or remove one record in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from threading import Lock
from typing import Any, Final, Protocol

from strongroom.dns.names import longest_zone, plain
from strongroom.dns.txt import quoted, unquoted
from strongroom.dns.vendor import CLEANUP, PRESENT, ZONES, Vendor
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, PropagationTiming, TxtRecord
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.kernel.value import value

TIMING: Final = PropagationTiming(limit=timedelta(minutes=10), poll=timedelta(seconds=5))
"""Of vendors that promise nothing in particular."""

MOST_PAGES: Final = 200
"""Of a list of zones: a vendor that never ends its list is refused."""

_TRIES: Final = 6
_PAUSE: Final = 0.2
_LONGEST_WAIT: Final = 120.0
_SETS: Final = tuple(Lock() for _ in range(64))
"""Taken by the record set's name: threads of this process change a set one after the other."""


@value
class Zone:
    """A zone of an account.

    Attributes:
        id: what the vendor calls it.
        name: without the last dot.
    """

    id: str
    name: str


class HostedZones:
    """Finds the zone of a name among those of an account, and remembers the list.

    Args:
        vendor: for messages.
        read: fetches the list; its argument is the step that it is needed for.
    """

    def __init__(self, vendor: Vendor, read: Callable[[str], Sequence[Zone]]) -> None:
        self._vendor = vendor
        self._read = read
        self._known: Mapping[str, Zone] | None = None

    def names(self) -> Sequence[str]:
        """Return the names of all zones, sorted, as they are now."""
        return sorted(self._fetch(ZONES))

    def of(self, name: str, step: str) -> Zone:
        """Return the zone that holds a name.

        Raises:
            DnsProblem: none does.
        """
        remembered = self._known
        zones = self._fetch(step) if remembered is None else remembered
        found = longest_zone(name, zones)
        if found is None and remembered is not None:
            zones = self._fetch(step)
            found = longest_zone(name, zones)
        if found is None:
            raise self._vendor.no_zone(name, step)
        return zones[found]

    def forget(self) -> None:
        """Fetch the list anew next time: what was remembered is not true any more."""
        self._known = None

    def _fetch(self, step: str) -> Mapping[str, Zone]:
        self._known = {plain(zone.name): zone for zone in self._read(step)}
        return self._known


class Hosted:
    """A provider with a list of zones.

    Args:
        vendor: whom it asks.
        timing: how long the vendor takes.
    """

    def __init__(self, vendor: Vendor, timing: PropagationTiming = TIMING) -> None:
        self._vendor = vendor
        self._timing = timing
        self._zones = HostedZones(vendor, self._list_zones)

    @property
    def timing(self) -> PropagationTiming:
        """Return how long records take to be seen."""
        return self._timing

    @property
    def servers(self) -> Mapping[str, int]:
        """Return nothing: vendors' name servers listen where all do."""
        return {}

    def zones(self) -> Sequence[str]:
        """Return the zones that can be written."""
        return self._zones.names()

    def present(self, record: TxtRecord) -> str | None:
        """Add the record unless it is there."""
        try:
            return self._add(self._zones.of(record.name, PRESENT), record)
        except DnsProblem as problem:
            self._doubt(problem)
            raise

    def cleanup(self, record: TxtRecord, handle: str | None) -> None:
        """Remove the record if it is there."""
        try:
            self._remove(self._zones.of(record.name, CLEANUP), record, handle)
        except DnsProblem as problem:
            self._doubt(problem)
            raise

    def _doubt(self, problem: DnsProblem) -> None:
        if problem.refusal is DnsRefusal.NO_ZONE:
            self._zones.forget()

    def _list_zones(self, step: str) -> Sequence[Zone]:
        """Fetch the zones of the account, all pages."""
        raise NotImplementedError

    def _add(self, zone: Zone, record: TxtRecord) -> str | None:
        """Add a record to a zone unless it is there; return the vendor's id of it."""
        raise NotImplementedError

    def _remove(self, zone: Zone, record: TxtRecord, handle: str | None) -> None:
        """Remove a record from a zone if it is there."""
        raise NotImplementedError


@value
class RecordSet:
    """All TXT records of one name, as a vendor holds them.

    Attributes:
        contents: in quotes, as the vendor gave them: what is not ours goes back unchanged.
        ttl: in seconds.
        others: more that must go back with them.
    """

    contents: Sequence[str]
    ttl: int
    others: Any = field(default=None)

    def holds(self, text: str) -> bool:
        """Tell whether one of the records has a value."""
        return any(unquoted(content) == text for content in self.contents)


class SetChanged(Exception):
    """Somebody else changed the record set in between."""


class SetStore(Protocol):
    """A vendor that knows record sets only."""

    def read(self, zone: Zone, name: str, step: str) -> RecordSet | None:
        """Return the TXT records of a name; ``None`` without any."""
        ...

    def write(self, zone: Zone, name: str, old: RecordSet | None, contents: Sequence[str], step: str) -> bool:
        """Put other contents in the place of a set; without any, remove it.

        Returns:
            Whether it is certain that the old set was replaced. Not every vendor notices that two write at a time;
            then the set is read once more.

        Raises:
            SetChanged: the vendor noticed that the set is not the old one any more.
        """
        ...


class HostedSets(Hosted):
    """A provider whose vendor knows record sets only: one is read, changed and written as a whole."""

    def __init__(self, vendor: Vendor, timing: PropagationTiming = TIMING) -> None:
        super().__init__(vendor, timing)
        self._pause: Callable[[float], None] = time.sleep

    def _store(self) -> SetStore:
        """Return what reads and writes sets."""
        raise NotImplementedError

    def _add(self, zone: Zone, record: TxtRecord) -> None:
        def added(old: RecordSet | None) -> Sequence[str] | None:
            if old is not None and old.holds(record.value):
                return None
            return (*(old.contents if old else ()), quoted(record.value))

        self._change(zone, record.name, added, PRESENT)

    def _remove(self, zone: Zone, record: TxtRecord, handle: str | None) -> None:
        del handle  # values have no ids of their own in a set

        def removed(old: RecordSet | None) -> Sequence[str] | None:
            if old is None or not old.holds(record.value):
                return None
            return [content for content in old.contents if unquoted(content) != record.value]

        self._change(zone, record.name, removed, CLEANUP)

    def _change(
        self, zone: Zone, name: str, change: Callable[[RecordSet | None], Sequence[str] | None], step: str
    ) -> None:
        """Change a set until it is as wanted.

        Raises:
            Unavailable: others change it all the time.
        """
        store = self._store()
        busy = _SETS[hash((self._vendor.base_url, zone.id, name)) % len(_SETS)]
        if not busy.acquire(timeout=_LONGEST_WAIT):
            raise self._always_changing(name)
        try:
            for tried in range(_TRIES):
                old = store.read(zone, name, step)
                contents = change(old)
                if contents is None:
                    return
                try:
                    if store.write(zone, name, old, contents, step):
                        return
                except SetChanged:
                    self._pause(_PAUSE * (tried + 1))
        finally:
            busy.release()
        raise self._always_changing(name)

    def _always_changing(self, name: str) -> Unavailable:
        return Unavailable(
            ErrorCode.UNAVAILABLE,
            f'{self._vendor.name}: the TXT records of "{name}" are changed by others at the same time.',
            retry_after=self._timing.poll,
        )
