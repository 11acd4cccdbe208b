"""The trail's records of callers that nobody knows: some from everywhere, never as many as they like.

Whoever reaches the port can be refused three thousand times a second, and a record is kept for ever: the disk
would be full within hours. So after a thousand of them an address gets ten records a second, each of which
says how many refusals it stands for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from strongroom.domain.audit.record import AuditEntry
from strongroom.domain.identity.throttle import network_of

BURST: Final = 1000
PER_SECOND: Final = 10.0
_ADDRESSES_MOST: Final = 10_000


@dataclass(slots=True)
class _Account:
    """What one address may still write, and what was not written for it."""

    left: float
    at: float
    counted: int = 0
    last: AuditEntry | None = None


class AnonymousRefusals:
    """Turns refusals into records. Used on the event loop only.

    Args:
        burst: records that an address gets at once.
        per_second: records that it gets in the long run.
        addresses_most: how many are remembered.
        monotonic: the clock.
    """

    def __init__(
        self,
        *,
        burst: int = BURST,
        per_second: float = PER_SECOND,
        addresses_most: int = _ADDRESSES_MOST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._addresses_most = addresses_most
        self._monotonic = monotonic
        self._accounts: dict[str, _Account] = {}

    def admit(self, entry: AuditEntry) -> list[AuditEntry]:
        """Return what to record now that this was refused."""
        now = self._monotonic()
        address = network_of(entry.initiator.address)
        account = self._accounts.pop(address, None) or _Account(self._burst, now)
        # At the end: the first one is the one that was quiet for longest.
        self._accounts[address] = account
        account.left = min(self._burst, account.left + (now - account.at) * self._per_second)
        account.at = now
        account.counted += 1
        account.last = entry
        records = []
        if account.left >= 1:
            account.left -= 1
            records.append(_settled(account))
        if len(self._accounts) > self._addresses_most:
            oldest = self._accounts.pop(next(iter(self._accounts)))
            if oldest.counted:
                records.append(_settled(oldest))
        return records

    def flush(self) -> list[AuditEntry]:
        """Return one record for each address whose last refusals have none."""
        return [_settled(account) for account in self._accounts.values() if account.counted]


def _settled(account: _Account) -> AuditEntry:
    entry, counted = account.last, account.counted
    account.last, account.counted = None, 0
    assert entry is not None  # noqa: S101  (what is counted was kept)
    if counted == 1 or entry.reason is None:
        return entry
    text = f"{entry.reason.message} This stands for {counted} refused requests from there, the last of them shown."
    return replace(entry, reason=replace(entry.reason, message=text))
