"""One look at all servers of a zone. It imports dnspython, so it is itself imported on first use only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from dns.message import Message

from strongroom.dns import ask
from strongroom.dns.names import canonical, is_endpoint
from strongroom.dns.zone import Lookup
from strongroom.domain.orders.dns import ServerReport
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.kernel.value import value
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard

DNS_PORT: Final = 53
MOST_NAME_SERVERS: Final = 16
MOST_SERVERS: Final = 32
THREADS: Final = 8
TRIES: Final = 2
MOST_FOUND: Final = 4
HOST_LIMIT: Final = timedelta(seconds=5)
"""For resolving the host that a provider is set up with."""

_MOST_SHOWN: Final = 100


@value
class Server:
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


class Look:
    """Finds the servers of a zone and asks them, several at a time.

    Args:
        lookup: the resolvers, for names and addresses of servers.
        resolvers: addresses and ports of the operator's.
        guard: refuses what may not be contacted.
        clock: for the reports.
        deadline: for everything together.
        timeout_s: for one answer.
    """

    def __init__(
        self,
        *,
        lookup: Lookup,
        resolvers: Sequence[tuple[str, int]],
        guard: Guard,
        clock: Clock,
        deadline: Deadline,
        timeout_s: float,
    ) -> None:
        self._lookup = lookup
        self._resolvers = tuple(resolvers)
        self._guard = guard
        self._clock = clock
        self._deadline = deadline
        self._timeout_s = timeout_s

    def reports(
        self, zone: str, name: str, wanted: frozenset[str], servers: Mapping[str, int]
    ) -> Sequence[ServerReport]:
        """Return what each server of a zone says about the TXT records of a name.

        An address of a family that this host has no route for says nothing about its server: it is left out if the
        server was asked over the other family.

        Raises:
            Unavailable: the resolvers do not answer, or none of the servers can be asked.
        """
        with ThreadPoolExecutor(THREADS, thread_name_prefix="dns") as pool:
            found = self._servers(zone, self._ports(servers), pool)
            answered = list(pool.map(lambda server: self._report(server, zone, name, wanted), found))
        reports = [report for report, _ in answered]
        if all(report.problem for report in reports):
            reasons = "; ".join(f"{report.name} {report.problem}" for report in reports[:3])
            raise Unavailable(
                ErrorCode.UNAVAILABLE, f"None of the DNS servers of {zone} can be asked: {reasons or 'it has none'}."
            )
        asked = {report.name for report, has_route in answered if has_route}
        return [report for report, has_route in answered if has_route or report.name not in asked]

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

    def _servers(self, zone: str, ports: Mapping[str, Sequence[int]], pool: ThreadPoolExecutor) -> Sequence[Server]:
        """Return every address of every server of a zone, and the names of servers without one."""
        names = self._lookup.name_servers(zone)[:MOST_NAME_SERVERS]
        found: list[Server] = []
        unresolved: list[Server] = []
        for name, addresses in zip(names, pool.map(self._addresses, names), strict=True):
            if isinstance(addresses, str):
                unresolved.append(Server(name=name, address="", problem=addresses))
                continue
            for address in addresses:
                found += self._on_ports(name, address, ports.get(address, (DNS_PORT,)), zone)
        if found:
            return [*found, *unresolved][:MOST_SERVERS]
        # Where one program is resolver and authority, the names of servers are often left without addresses.
        known = [
            Server(name=address, address=address, port=port) for address, several in ports.items() for port in several
        ]
        return [server for server in known if self._has_authority(server, zone)] or unresolved

    def _on_ports(self, name: str, address: str, ports: Sequence[int], zone: str) -> Sequence[Server]:
        """Return a server for each port of an address; of several, those that hold the zone."""
        servers = [Server(name=name, address=address, port=port) for port in ports]
        if len(servers) == 1:
            return servers
        return [server for server in servers if self._has_authority(server, zone)] or servers

    def _has_authority(self, server: Server, zone: str) -> bool:
        if self._forbidden(server) is not None:
            return False
        try:
            return ask.is_authoritative(self._ask(server, zone, "SOA"))
        except ask.Unanswered:
            return False

    def _report(self, server: Server, zone: str, name: str, wanted: frozenset[str]) -> tuple[ServerReport, bool]:
        """Ask one server; whatever it does ends in the report. Return also whether there is a route to it."""
        found: Sequence[str] = ()
        serial = None
        has_route = True
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
                has_route = not isinstance(error, ask.NoRoute)
        seen = problem is None and wanted <= set(found)
        report = ServerReport(
            name=server.name,
            address=server.address,
            seen=seen,
            found=() if seen else tuple(map(_shown, found[:MOST_FOUND])),
            soa_serial=serial,
            checked_at=self._clock.now(),
            problem=problem,
        )
        return report, has_route

    def _serial(self, server: Server, answer: Message, zone: str) -> int | None:
        """Return the serial number of the zone: it stands beside the answer that there is nothing, or is asked for."""
        serials = dict(ask.start_of_authority(answer))
        if zone not in serials:
            try:
                serials = dict(ask.start_of_authority(self._ask(server, zone, "SOA")))
            except ask.Unanswered:
                return None
        return serials.get(zone)

    def _ask(self, server: Server, name: str, record_type: str) -> Message:
        """Ask a server for what it holds itself.

        Raises:
            Unanswered: it gave no answer, or one that it does not answer for.
        """
        for remaining in reversed(range(TRIES)):
            try:
                timeout_s = min(self._timeout_s, self._deadline.left())
                answer = ask.ask(name, record_type, server.address, server.port, recursive=False, timeout_s=timeout_s)
            except TimeoutError:
                raise ask.Unanswered("was not asked: the others took too long") from None
            except ask.NoRoute:
                raise
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

    def _forbidden(self, server: Server) -> str | None:
        """Return in words why a server may not be contacted."""
        try:
            self._guard.check_address(
                server.address, is_operators=is_endpoint(server.address, server.port, self._resolvers), host=server.name
            )
        except Invalid as refusal:
            return f"is not asked: {refusal.detail}"
        return None

    def _addresses(self, name: str) -> Sequence[str] | str:
        """Return the addresses of a server, or in words why there are none."""
        try:
            addresses = [canonical(address) for address in self._lookup.addresses(name)]
        except Unavailable as problem:
            return f"has a name that cannot be resolved: {problem.detail}"
        return addresses or "has a name without addresses"


def _shown(text: str) -> str:
    """Return what somebody else wrote as it can be shown on any terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:_MOST_SHOWN])
