"""What ordering needs of the DNS, as ports. Sources: RFC 8555 section 8.4, RFC 2136."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from strongroom.domain.configurations.model import ConfigType
from strongroom.kernel.errors import ErrorCode, Upstream
from strongroom.kernel.value import value

TTL = timedelta(seconds=120)
"""Of the records we write. Source: contract domain section 4.5."""


class DnsRefusal(StrEnum):
    """Why a DNS provider said no; trying again does not help with any but ``answered_error``."""

    AUTHORIZATION = "dns_authorization_failed"
    NO_ZONE = "dns_zone_not_found"
    ERROR = "dns_provider_error"


class DnsProblem(Upstream):
    """A DNS provider answered, but not as wanted.

    Attributes:
        refusal: which kind of answer.
        step: what it was asked: ``zones``, ``present`` or ``cleanup``.
    """

    def __init__(
        self, detail: str, *, refusal: DnsRefusal, step: str = "present", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(ErrorCode.UPSTREAM_REFUSED, detail, retry_after=retry_after)
        self.refusal = refusal
        self.step = step

    @property
    def is_final(self) -> bool:
        """Tell whether asking again would get the same answer."""
        return self.refusal is not DnsRefusal.ERROR


@value
class TxtRecord:
    """A TXT record of ours.

    Attributes:
        name: full, lower case, without the last dot; where a delegation leads, its target.
        value: the one string it holds.
    """

    name: str
    value: str


@value
class PropagationTiming:
    """How long a provider's records take to be seen. Source: contract domain section 4.5."""

    limit: timedelta
    poll: timedelta


class DnsProvider(Protocol):
    """Writes TXT records for one DNS configuration.

    Several records of one name with different values stand beside each other: one is added or removed, never the set
    replaced. Both calls are safe to repeat, and safe to break off.

    All calls raise:
        DnsProblem: the provider refused.
        Unavailable: it cannot be reached, timed out, or answers 5xx or 429; ``retry_after`` from its header.
        Invalid: its address is not allowed (``destination_not_allowed``).
    """

    @property
    def timing(self) -> PropagationTiming: ...

    @property
    def servers(self) -> Mapping[str, int]:
        """Return addresses (host or IP, as configured) of authoritative servers that listen on another port than 53."""
        ...

    def zones(self) -> Sequence[str]:
        """Return the zones that can be written, sorted, without the last dot."""
        ...

    def present(self, record: TxtRecord) -> str | None:
        """Add the record unless it is there; return the provider's id of it, if it has ids."""
        ...

    def cleanup(self, record: TxtRecord, handle: str | None) -> None:
        """Remove the record if it is there.

        Args:
            record: as it was presented.
            handle: what ``present`` returned; ``None`` if nobody knows any more, it is looked for by its value then.
        """
        ...


class DnsProviders(Protocol):
    """Makes providers; one small class for each type of configuration."""

    @property
    def config_types(self) -> frozenset[ConfigType]:
        """Return the types that this server can use."""
        ...

    def check(self, config_type: ConfigType, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings with defaults filled in; no network.

        Args:
            config_type: of the configuration.
            values: in the API's spelling, shapes checked.

        Raises:
            Invalid: every broken rule, by field.
        """
        ...

    def secret_members(self, config_type: ConfigType) -> frozenset[str]:
        """Return the members that only full reads show."""
        ...

    def provider(self, config_type: ConfigType, values: Mapping[str, Any]) -> DnsProvider:
        """Return the provider of a configuration, its secret members among ``values``; no request is made."""
        ...


@value
class ServerReport:
    """What one authoritative server says about a record.

    Attributes:
        seen: whether it has every value that is waited for.
        found: a few of the values that it has instead, where it has not.
        soa_serial: of its zone.
        problem: why it could not be asked, in words.
    """

    name: str
    address: str
    seen: bool
    soa_serial: int | None
    checked_at: datetime
    found: tuple[str, ...] = ()
    problem: str | None = None


class Propagation(Protocol):
    """Looks at the DNS as the CA will."""

    def target(self, name: str) -> str:
        """Return where the CNAME records of a name lead, the name itself without any.

        Raises:
            Unavailable: the resolvers do not answer.
            DnsProblem: a loop, or too long a chain.
        """
        ...

    def look(self, name: str, values: Sequence[str], servers: Mapping[str, int]) -> Sequence[ServerReport]:
        """Ask every authoritative server of a name for its TXT records, over both address families.

        Args:
            name: with CNAME records followed.
            values: all of them must be there.
            servers: of `DnsProvider.servers`.

        Raises:
            Unavailable: the resolvers do not answer, or none of the servers can be asked.
            DnsProblem: no zone holds the name.
        """
        ...
