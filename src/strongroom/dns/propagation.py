"""A look at the DNS as a CA takes it: every authoritative server is asked itself.

Resolvers say only where to ask. They may remember for minutes that a record was not there, and a zone's servers
are seldom all equally fast to take over a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.dns.names import HOST, canonical, is_endpoint, plain
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, ServerReport
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.kernel.value import value
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard

if TYPE_CHECKING:
    from dns.message import Message

    from strongroom.dns.zone import Lookup

MOST_ALIASES: Final = 16
MOST_NAME_SERVERS: Final = 16
MOST_SERVERS: Final = 32
THREADS: Final = 8
TIMEOUT_S: Final = 3.0
TRIES: Final = 2
MOST_FOUND: Final = 4
_MOST_SHOWN: Final = 100
DNS_PORT: Final = 53
HOST_LIMIT: Final = timedelta(seconds=5)
"""For resolving the host that a provider is set up with."""


@value
class _Server:
    """Where one server is asked.

    Attributes:
        name: of the NS record.
        address: empty where none is known.
        problem: why it is not asked at all.
    """

    name: str
    address: str
    port: int = DNS_PORT
    problem: str | None = None


class AuthoritativeServers:
    """Implements `Propagation`.

    Args:
        resolvers: addresses and ports of the operator's; empty for the system's.
        guard: refuses what may not be contacted.
        clock: for the reports.
        timeout_s: for one answer of one server or resolver.
    """

    def __init__(
        self,
        *,
        resolvers: Sequence[tuple[str, int]],
        guard: Guard,
        clock: Clock,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._resolvers = tuple((canonical(address), port) for address, port in resolvers)
        self._guard = guard
        self._clock = clock
        self._timeout_s = timeout_s

    def target(self, name: str) -> str:
        """Return where the CNAME records of a name lead, the name itself without any.

        Raises:
            Unavailable: the resolvers do not answer.
            DnsProblem: a loop, too long a chain, or an end that is no host name.
        """
        lookup = self._lookup()
        seen = [plain(name)]
        while (following := lookup.alias(seen[-1])) is not None:
            following = plain(following)
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
        name = plain(name)
        lookup = self._lookup()
        zone = lookup.zone_of(name)
        if zone is None:
            raise DnsProblem(f"The DNS knows no zone that holds {name}.", refusal=DnsRefusal.NO_ZONE, step="zones")
        with ThreadPoolExecutor(THREADS, thread_name_prefix="dns") as pool:
            found = self._servers(lookup, zone, self._ports(servers), pool)
            reports = list(pool.map(lambda server: self._report(server, name, zone, values), found))
        if all(report.problem for report in reports):
            reasons = "; ".join(f"{report.name} {report.problem}" for report in reports[:3])
            raise Unavailable(
                ErrorCode.UNAVAILABLE, f"None of the DNS servers of {zone} can be asked: {reasons or 'it has none'}."
            )
        return reports

    def _lookup(self) -> Lookup:
        # Imported late: it brings the DNS library.
        from strongroom.dns.zone import Lookup

        return Lookup(self._resolvers, timeout_s=self._timeout_s)

    def _ports(self, servers: Mapping[str, int]) -> Mapping[str, Sequence[int]]:
        """Return the ports of the addresses that are not asked on port 53.

        The provider's server comes before a resolver of the same address, which may be a program of its own.
        """
        ports = {address: [port] for host, port in servers.items() for address in self._addresses_of(host, port)}
        of_provider = frozenset(ports)
        for address, port in self._resolvers:
            if address not in of_provider:
                ports.setdefault(address, []).append(port)
        return ports

    def _addresses_of(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a server that a provider names, as those see it who write to it."""
        is_operators = is_endpoint(host, port, self._resolvers)
        try:
            found = self._guard.addresses(host, is_operators=is_operators, deadline=Deadline(HOST_LIMIT))
        except (Invalid, Unavailable):
            return ()
        return [canonical(address) for address in found]

    def _servers(
        self, lookup: Lookup, zone: str, ports: Mapping[str, Sequence[int]], pool: ThreadPoolExecutor
    ) -> Sequence[_Server]:
        """Return every address of every server of a zone, and the names of servers without one."""
        names = lookup.name_servers(zone)[:MOST_NAME_SERVERS]
        found: list[_Server] = []
        unresolved: list[_Server] = []
        for name, addresses in zip(names, pool.map(lambda name: _addresses(lookup, name), names), strict=True):
            if isinstance(addresses, str):
                unresolved.append(_Server(name=name, address="", problem=addresses))
                continue
            for address in addresses:
                found += self._on_ports(name, address, ports.get(address, (DNS_PORT,)), zone)
        if found:
            return [*found, *unresolved][:MOST_SERVERS]
        # Where one program is resolver and authority, the names of servers are often left without addresses.
        known = [
            _Server(name=address, address=address, port=port) for address, several in ports.items() for port in several
        ]
        return [server for server in known if self._has_authority(server, zone)] or unresolved

    def _on_ports(self, name: str, address: str, ports: Sequence[int], zone: str) -> Sequence[_Server]:
        """Return a server for each port of an address; of several, those that hold the zone."""
        servers = [_Server(name=name, address=address, port=port) for port in ports]
        if len(servers) == 1:
            return servers
        return [server for server in servers if self._has_authority(server, zone)] or servers

    def _has_authority(self, server: _Server, zone: str) -> bool:
        from strongroom.dns import ask

        if self._forbidden(server) is not None:
            return False
        try:
            return ask.is_authoritative(self._ask(server, zone, "SOA"))
        except ask.Unanswered:
            return False

    def _report(self, server: _Server, name: str, zone: str, values: Sequence[str]) -> ServerReport:
        """Ask one server; whatever it does ends in the report."""
        from strongroom.dns import ask

        found: Sequence[str] = ()
        serial = None
        problem = server.problem or self._forbidden(server)
        if problem is None:
            try:
                answer = self._ask(server, name, "TXT")
                alias = ask.alias(answer, name)
                if alias is not None:
                    raise ask.Unanswered(f"has a CNAME record there, which leads to {alias}")
                found = ask.texts(answer, name)
                serial = self._serial(server, answer, zone)
            except ask.Unanswered as error:
                problem = str(error)
        seen = problem is None and set(values) <= set(found)
        return ServerReport(
            name=server.name,
            address=server.address,
            seen=seen,
            found=() if seen else tuple(text[:_MOST_SHOWN] for text in found[:MOST_FOUND]),
            soa_serial=serial,
            checked_at=self._clock.now(),
            problem=problem,
        )

    def _serial(self, server: _Server, answer: Message, zone: str) -> int | None:
        """Return the serial number of the zone: it stands beside the answer that there is nothing, or is asked for."""
        from strongroom.dns import ask

        serials = dict(ask.start_of_authority(answer))
        if zone not in serials:
            try:
                serials = dict(ask.start_of_authority(self._ask(server, zone, "SOA")))
            except ask.Unanswered:
                return None
        return serials.get(zone)

    def _ask(self, server: _Server, name: str, record_type: str) -> Message:
        """Ask a server for what it holds itself.

        Raises:
            Unanswered: it gave no answer, or one that it does not answer for.
        """
        from strongroom.dns import ask

        for remaining in reversed(range(TRIES)):
            try:
                answer = ask.ask(
                    name, record_type, server.address, server.port, recursive=False, timeout_s=self._timeout_s
                )
            except ask.Unanswered:
                # Over UDP an answer may be lost.
                if not remaining:
                    raise
                continue
            if not ask.is_negative_or_good(answer):
                raise ask.Unanswered(ask.refusal(answer))
            if not ask.is_authoritative(answer):
                raise ask.Unanswered("does not hold the zone, though the zone names it")
            return answer
        raise AssertionError  # the last try returns or raises

    def _forbidden(self, server: _Server) -> str | None:
        """Return in words why a server may not be contacted."""
        try:
            self._guard.check_address(
                server.address, is_operators=(server.address, server.port) in self._resolvers, host=server.name
            )
        except Invalid as refusal:
            return f"is not asked: {refusal.detail}"
        return None


def _addresses(lookup: Lookup, name: str) -> Sequence[str] | str:
    """Return the addresses of a server, or in words why there are none."""
    try:
        addresses = [canonical(address) for address in lookup.addresses(name)]
    except Unavailable as problem:
        return f"has a name that cannot be resolved: {problem.detail}"
    return addresses or "has a name without addresses"


def _refused(detail: str) -> DnsProblem:
    return DnsProblem(detail, refusal=DnsRefusal.ERROR, step="zones")
