"""Keeping orders from queueing up at a CA or a DNS provider that does not answer.

Each process finds out for itself. Source: contract domain section 4.2, other orders are never held up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from strongroom.kernel.errors import ErrorCode, Unavailable

PATIENCE: Final = timedelta(seconds=5)
"""Once somebody waits longer than this for a peer, nobody else begins to."""
AGAIN: Final = timedelta(seconds=10)


def ca_peer(name: str) -> str:
    """Return what a CA configuration is called as a peer, for people, too."""
    return f"the CA {name}"


def dns_peer(name: str) -> str:
    """Return what a DNS configuration is called as a peer, for people, too."""
    return f"the DNS configuration {name}"


class PeerIsSlow(Unavailable):
    """Others have been waiting for the peer for a while; it was not asked."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, "Others have been waiting for it for a while.", retry_after=AGAIN)


@dataclass(slots=True)
class _Peer:
    """What is known of a peer.

    Attributes:
        asking: since when each of those who wait does.
        failure: what the last one got who waited for long, and in vain.
    """

    asking: dict[object, float] = field(default_factory=dict)
    failure: Unavailable | None = None


class PeerWatch:
    """Knows which peers are slow, or silent.

    Args:
        now: seconds that only grow.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._peers: dict[str, _Peer] = {}
        self._lock = threading.Lock()

    @contextmanager
    def asking(self, peer: str) -> Iterator[None]:
        """Ask a peer inside the block.

        After somebody waited in vain, one at a time finds out whether that still holds; the others fail as that one
        did, at once, so that what they do about a failure does not wait either.

        Args:
            peer: what is the same for all who ask it.

        Raises:
            PeerIsSlow: somebody has been waiting for a while.
            Unavailable: as the last one who waited in vain got it.
        """
        ticket = self._enter(peer)
        failure = None
        try:
            yield
        except Unavailable as error:
            failure = error
            raise
        finally:
            self._leave(peer, ticket, failure)

    def _enter(self, peer: str) -> object:
        ticket = object()
        with self._lock:
            known = self._peers.setdefault(peer, _Peer())
            now = self._now()
            if known.failure is not None and known.asking:
                last = known.failure
                raise Unavailable(last.code, last.detail, retry_after=last.retry_after)
            if any(self._is_long(since, now) for since in known.asking.values()):
                raise PeerIsSlow
            known.asking[ticket] = now
        return ticket

    def _leave(self, peer: str, ticket: object, failure: Unavailable | None) -> None:
        with self._lock:
            known = self._peers[peer]
            was_long = self._is_long(known.asking.pop(ticket), self._now())
            known.failure = failure if was_long else None
            if known.failure is None and not known.asking:
                del self._peers[peer]

    def _is_long(self, since: float, now: float) -> bool:
        return now - since > PATIENCE.total_seconds()
