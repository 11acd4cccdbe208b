"""What DNS providers are made with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from strongroom.dns.kinds import ProviderContext
from strongroom.kernel.clock import Clock, FrozenClock
from strongroom.net.client import HttpClient
from strongroom.net.guard import Guard

_START = datetime(2027, 1, 31, 12, tzinfo=UTC)


def make_context(
    *,
    allow_private: bool = True,
    resolvers: Sequence[tuple[str, int]] = (),
    cis_url: str = "https://cis.example.com",
    classic_url: str = "https://classic.example.com",
    exec_allowed: bool = False,
    clock: Clock | None = None,
) -> ProviderContext:
    """Make a context; loopback may be contacted unless told otherwise."""
    guard = Guard(allow_private=allow_private)
    return ProviderContext(
        http=HttpClient(guard),
        guard=guard,
        clock=clock or FrozenClock(_START),
        resolvers=tuple(resolvers),
        cis_url=cis_url,
        classic_url=classic_url,
        exec_allowed=exec_allowed,
    )
