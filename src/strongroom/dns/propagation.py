"""A look at the DNS as a CA takes it: every authoritative server is asked itself.

Resolvers say only where to ask. They may remember for minutes that a record was not there, and a zone's servers
are seldom all equally fast to take over a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.dns.names import HOST, canonical, plain
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, ServerReport
from strongroom.kernel.clock import Clock
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard

if TYPE_CHECKING:
    from strongroom.dns.zone import Lookup

MOST_ALIASES: Final = 16
TIMEOUT_S: Final = 3.0
LIMIT: Final = timedelta(seconds=40)
"""For one call, however many servers are silent."""


class AuthoritativeServers:
    """Implements `Propagation`.

    Args:
        resolvers: addresses and ports of the operator's; empty for the system's.
        guard: refuses what may not be contacted.
        clock: for the reports.
        timeout_s: for one answer of one server or resolver.
        limit: for one call.
    """

    def __init__(
        self,
        *,
        resolvers: Sequence[tuple[str, int]],
        guard: Guard,
        clock: Clock,
        timeout_s: float = TIMEOUT_S,
        limit: timedelta = LIMIT,
    ) -> None:
        self._resolvers = tuple((canonical(address), port) for address, port in resolvers)
        self._guard = guard
        self._clock = clock
        self._timeout_s = timeout_s
        self._limit = limit

    def target(self, name: str) -> str:
        """Return where the CNAME records of a name lead, the name itself without any.

        Raises:
            Unavailable: the resolvers do not answer.
            DnsProblem: a loop, too long a chain, or an end that is no host name.
        """
        lookup = self._lookup(Deadline(self._limit))
        seen = [plain(name)]
        while (following := lookup.alias(seen[-1])) is not None:
            if following in seen:
                raise _refused(
                    f"The CNAME records of {name} lead round in a circle: {' -> '.join([*seen, following])}."
                )
            if HOST.fullmatch(following) is None:
                raise _refused(f"The CNAME record of {seen[-1]} leads to something that is not a host name.")
            seen.append(following)
            if len(seen) > MOST_ALIASES + 1:
                raise _refused(f"More than {MOST_ALIASES} CNAME records follow one another from {name}.")
        return seen[-1]

    def look(self, name: str, values: Sequence[str], servers: Mapping[str, int]) -> Sequence[ServerReport]:
        """Ask every authoritative server of a name for its TXT records, over both address families.

        Raises:
            Unavailable: the resolvers do not answer, or none of the servers can be asked.
            DnsProblem: no zone holds the name.
        """
        # Imported late: it brings the DNS library.
        from strongroom.dns.look import Look

        name, deadline = plain(name), Deadline(self._limit)
        lookup = self._lookup(deadline)
        zone = lookup.zone_of(name)
        if zone is None:
            raise DnsProblem(f"The DNS knows no zone that holds {name}.", refusal=DnsRefusal.NO_ZONE, step="zones")
        look = Look(
            lookup=lookup,
            resolvers=self._resolvers,
            guard=self._guard,
            clock=self._clock,
            deadline=deadline,
            timeout_s=self._timeout_s,
        )
        return look.reports(zone, name, frozenset(values), servers)

    def _lookup(self, deadline: Deadline) -> Lookup:
        from strongroom.dns.zone import Lookup

        return Lookup(self._resolvers, timeout_s=self._timeout_s, deadline=deadline)


def _refused(detail: str) -> DnsProblem:
    return DnsProblem(detail, refusal=DnsRefusal.ERROR, step="zones")
