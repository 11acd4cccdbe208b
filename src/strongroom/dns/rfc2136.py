"""Dynamic updates of a DNS server of one's own, signed with a shared key.

A record is added to those that stand beside it, or taken from them: an update names the single record, so nothing is
read before. Everything goes over TCP and is signed, looking up the zone too. Source: RFC 2136, RFC 8945 (TSIG).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.names import HOST, is_endpoint, is_within, plain
from strongroom.domain.orders.dns import TTL, DnsProblem, DnsRefusal, PropagationTiming, TxtRecord
from strongroom.kernel.errors import Invalid
from strongroom.kernel.secret import Secret
from strongroom.kernel.value import value
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard

if TYPE_CHECKING:
    from strongroom.dns.update import Signed

ALGORITHMS: Final = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")
"""Of RFC 8945 section 6, without MD5."""

TIMING: Final = PropagationTiming(limit=timedelta(minutes=10), poll=timedelta(seconds=5))
EXCHANGE_LIMIT: Final = timedelta(seconds=15)
"""For one question or update, connecting to one address after the other included."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")


class Rfc2136Kind:
    """Implements `ProviderKind`."""

    @property
    def secret_members(self) -> frozenset[str]:
        """Return the members that only full reads show."""
        return frozenset({"rfc2136_tsig_secret"})

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member; a name of a server is not resolved yet."""
        server = fields.text("rfc2136_server", most=255)
        port = fields.number("rfc2136_port", least=1, most=65535, default=53)
        if server is not None and port is not None:
            host = server.strip("[]")
            is_operators = is_endpoint(host, port, context.resolvers)
            try:
                fields.keep("rfc2136_server", context.guard.check_host(host, is_operators=is_operators))
            except Invalid as refusal:
                fields.note("rfc2136_server", refusal)
        for name, required in (("rfc2136_tsig_key_name", True), ("rfc2136_zone", False)):
            read = fields.text if required else fields.optional_text
            given = read(name, most=254)
            if given is not None:
                fields.keep(name, plain(given))
                if HOST.fullmatch(plain(given)) is None:
                    fields.refuse(name, f"{name} must be a name such as example.com, of letters, digits, - and _.")
        fields.choice("rfc2136_tsig_algorithm", ALGORITHMS, default=ALGORITHMS[0])
        secret = fields.text("rfc2136_tsig_secret", most=1024, secret=True)
        if secret is not None and not _is_base64(secret):
            fields.refuse("rfc2136_tsig_secret", "rfc2136_tsig_secret must be base64, as tsig-keygen prints it.")

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> Rfc2136:
        """Return the provider of checked settings; no request is made."""
        server, port = str(values["rfc2136_server"]), int(values["rfc2136_port"])
        return Rfc2136(
            server=Server(host=server, port=port, is_operators=is_endpoint(server, port, context.resolvers)),
            key=TsigKey(
                name=values["rfc2136_tsig_key_name"],
                algorithm=values["rfc2136_tsig_algorithm"],
                secret=Secret(base64.b64decode(values["rfc2136_tsig_secret"])),
            ),
            zone=values.get("rfc2136_zone"),
            guard=context.guard,
        )


@value
class Server:
    """The server that takes the updates."""

    host: str
    port: int
    is_operators: bool


@value
class TsigKey:
    """The key that signs them."""

    name: str
    algorithm: str
    secret: Secret[bytes]


class Rfc2136:
    """Implements `DnsProvider`.

    Args:
        server: the primary server of the zones.
        key: of which the server knows what it may change.
        zone: the only zone to change; without one, it is looked up at the server.
        guard: says which addresses may be contacted.
    """

    def __init__(self, *, server: Server, key: TsigKey, zone: str | None, guard: Guard) -> None:
        self._server = server
        self._key = key
        self._zone = zone
        self._guard = guard

    @property
    def timing(self) -> PropagationTiming:
        """Return how long secondaries may take."""
        return TIMING

    @property
    def servers(self) -> Mapping[str, int]:
        """Return the server with its port, which it answers ordinary questions on, too."""
        return {self._server.host: self._server.port}

    def zones(self) -> Sequence[str]:
        """Return the zone of the settings, and nothing without one: the protocol has no list of zones."""
        return [] if self._zone is None else [self._zone]

    def present(self, record: TxtRecord) -> None:
        """Add the record; the server leaves it alone if it is there (RFC 2136 section 3.4.2.2)."""
        with_server = self._connect("present")
        zone = self._find_zone(with_server, record.name, "present")
        with_server.add_text(zone, record.name, record.value, TTL)

    def cleanup(self, record: TxtRecord, handle: str | None) -> None:
        """Remove the record by its value; the server does not mind if it is not there."""
        with_server = self._connect("cleanup")
        zone = self._find_zone(with_server, record.name, "cleanup")
        with_server.delete_text(zone, record.name, record.value)

    def _connect(self, step: str) -> Signed:
        # Imported late: it brings the DNS library.
        from strongroom.dns.update import Signed

        deadline = Deadline(EXCHANGE_LIMIT)
        addresses = self._guard.addresses(self._server.host, is_operators=self._server.is_operators, deadline=deadline)
        return Signed(
            host=self._server.host, addresses=addresses, port=self._server.port, key=self._key, step=step,
            limit=EXCHANGE_LIMIT,
        )  # fmt: skip

    def _find_zone(self, with_server: Signed, name: str, step: str) -> str:
        if self._zone is None:
            return with_server.zone_of(name)
        if not is_within(name, self._zone):
            raise DnsProblem(
                f"{name} does not lie in the zone {self._zone}, the only one of this configuration.",
                refusal=DnsRefusal.NO_ZONE,
                step=step,
            )
        return self._zone


def _is_base64(text: str) -> bool:
    try:
        return bool(_BASE64.fullmatch(text)) and bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False
