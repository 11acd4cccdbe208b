"""What the resolvers know: CNAME records, the zone a name lies in, its servers and their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import dns.message
import dns.resolver

from strongroom.dns import ask
from strongroom.dns.names import is_within, parents
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.net.deadline import Deadline

ROUNDS: Final = 2
"""A lost packet is no reason to fail; each resolver is asked this often."""

MOST_RESOLVERS: Final = 4
MOST_ADDRESSES: Final = 4
"""Of one name and family."""


class Lookup:
    """Asks the resolvers, one after the other until one answers.

    Args:
        resolvers: addresses and ports; empty for the system's, read anew for each look.
        timeout_s: for one answer.
        deadline: for all questions together.
    """

    def __init__(self, resolvers: Sequence[tuple[str, int]], *, timeout_s: float, deadline: Deadline) -> None:
        self._resolvers = tuple(resolvers)[:MOST_RESOLVERS] or system_resolvers()
        self._timeout_s = timeout_s
        self._deadline = deadline

    @property
    def resolvers(self) -> Sequence[tuple[str, int]]:
        """Return addresses and ports of those that are asked."""
        return self._resolvers

    def alias(self, name: str) -> str | None:
        """Return where the CNAME record of a name leads, or ``None`` without one.

        Raises:
            Unavailable: no resolver answers.
        """
        return ask.alias(self._ask(name, "CNAME"), name)

    def zone_of(self, name: str) -> str | None:
        """Return the name of the zone that holds a name, ``None`` if that is the root.

        A server names its zone in the SOA record beside the answer that there is nothing, so that one question is
        mostly enough (RFC 2308 section 3).

        Raises:
            Unavailable: no resolver answers.
        """
        for candidate in parents(name):
            owners = [owner for owner, _ in ask.start_of_authority(self._ask(candidate, "SOA"))]
            holding = [owner for owner in owners if owner and is_within(candidate, owner)]
            if holding:
                return max(holding, key=len)
        return None

    def name_servers(self, zone: str) -> list[str]:
        """Return the names of a zone's servers, sorted.

        Raises:
            Unavailable: no resolver answers.
        """
        return sorted(ask.targets(self._ask(zone, "NS"), zone, "NS"))

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host of both families.

        Raises:
            Unavailable: no resolver answers.
        """
        found = []
        for family in ("A", "AAAA"):
            found += ask.addresses(self._ask(host, family), family)[:MOST_ADDRESSES]
        return found

    def _ask(self, name: str, record_type: str) -> dns.message.Message:
        problems: dict[str, str] = {}
        for _ in range(ROUNDS):
            for address, port in self._resolvers:
                resolver = show_address(address, port)
                try:
                    timeout_s = min(self._timeout_s, self._deadline.left())
                    answer = ask.ask(name, record_type, address, port, recursive=True, timeout_s=timeout_s)
                except TimeoutError:
                    problems.setdefault(resolver, "was not asked: the others took too long")
                    continue
                except ask.Unanswered as problem:
                    problems[resolver] = str(problem)
                    continue
                if ask.is_negative_or_good(answer):
                    return answer
                problems[resolver] = ask.refusal(answer)
        reasons = "; ".join(f"{resolver} {problem}" for resolver, problem in problems.items())
        raise Unavailable(
            ErrorCode.UNAVAILABLE, f"No DNS resolver tells the {record_type} records of {name}: {reasons}."
        )


def system_resolvers(path: str = "/etc/resolv.conf") -> tuple[tuple[str, int], ...]:
    """Return address and port of each resolver that the system is set up with.

    Raises:
        Unavailable: there is none.
    """
    try:
        configured = dns.resolver.Resolver(path)
    except dns.resolver.NoResolverConfiguration as error:
        raise Unavailable(
            ErrorCode.UNAVAILABLE,
            "The system names no DNS resolver.",
            hint="Name some in the setting dns_resolvers, such as 192.0.2.53:53.",
        ) from error
    addresses = [server for server in configured.nameservers if isinstance(server, str)]
    return tuple((address, configured.port) for address in addresses[:MOST_RESOLVERS])


def show_address(address: str, port: int) -> str:
    """Return an address with its port, as settings have it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
