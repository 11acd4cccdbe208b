"""PowerDNS authoritative server. Source: PowerDNS HTTP API v1, zones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from strongroom.dns.hosted import HostedSets, RecordSet, Zone
from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.names import plain
from strongroom.dns.vendor import Vendor, as_object, as_objects
from strongroom.domain.orders.dns import TTL
from strongroom.kernel.errors import Invalid
from strongroom.kernel.secret import Secret

if TYPE_CHECKING:
    from strongroom.net.client import Answer

_SERVER_ID: Final = "localhost"
_URL: Final = re.compile(r"https?://[^\s?#@]+")
_SERVER: Final = re.compile(r"[A-Za-z0-9._-]+")
_KEY: Final = re.compile(r"[!-~]+")
_COPIES: Final = frozenset({"Slave", "Secondary", "Consumer"})
"""Kinds of zones that another server holds: what is written here is lost with the next transfer."""
_ERRORS: Final = 300
_NOT_FOUND: Final = 404


class PowerDnsKind:
    """Settings ``powerdns_``."""

    secret_members = frozenset({"powerdns_api_key"})

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once."""
        url = fields.text("powerdns_url", most=512, form=_URL, says="a URL without user, query or fragment")
        if url is not None:
            try:
                context.guard.check_url(url, allow_http=True, field="powerdns_url")
            except Invalid as problem:
                fields.note("powerdns_url", problem)
            else:
                # The path of the API is added to it; people paste it with the path.
                fields.keep("powerdns_url", url.rstrip("/").removesuffix("/api/v1"))
        fields.text("powerdns_api_key", most=512, form=_KEY, says="visible ASCII characters", secret=True)
        fields.optional_text("powerdns_server_id", most=64, form=_SERVER, says="the id of a server")
        if not fields.is_given("powerdns_server_id"):
            fields.keep("powerdns_server_id", _SERVER_ID)

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> PowerDns:
        """Return the provider; no request is made."""
        key = values["powerdns_api_key"]
        vendor = Vendor(
            context.http,
            name="PowerDNS",
            base_url=values["powerdns_url"],
            is_operators=False,
            # The server's own API has no TLS; a proxy or a private network has to protect the key.
            allow_http=True,
            secrets=(key,),
            message=lambda answer: str(as_object(json.loads(answer.body)).get("error", "")),
        )
        return PowerDns(vendor, key, values.get("powerdns_server_id") or _SERVER_ID)


class PowerDns(HostedSets):
    """Writes with the server's API key."""

    def __init__(self, vendor: Vendor, key: str, server_id: str) -> None:
        super().__init__(vendor)
        self._key = Secret(key)
        self._root = f"/api/v1/servers/{quote(server_id, safe='')}/zones"

    def _store(self) -> PowerDns:
        return self

    def _ask(self, method: str, target: str, step: str, what: str, body: Any = None) -> Answer:
        """Send a request; return an answer that says yes, or that something is not there."""
        headers = {"Accept": "application/json", "X-API-Key": self._key.reveal()}
        content = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        answer = self._vendor.send(method, target, headers=headers, body=content)
        if answer.status < _ERRORS or answer.status == _NOT_FOUND:
            return answer
        raise self._vendor.refuse(answer, step, what)

    def _list_zones(self, step: str) -> Sequence[Zone]:
        # The list has no pages; without the DNSSEC members it is made quickly.
        what = "list its zones"
        answer = self._ask("GET", f"{self._root}?dnssec=false", step, what)
        if answer.status >= _ERRORS:
            raise self._vendor.error("does not know the server that powerdns_server_id names", step, answer)
        found = self._vendor.objects(self._vendor.json(answer, step), step)
        return [
            Zone(id=str(zone["id"]), name=plain(str(zone["name"])))
            for zone in found
            if {"id", "name"} <= {*zone} and zone.get("kind") not in _COPIES
        ]

    def read(self, zone: Zone, name: str, step: str) -> RecordSet | None:
        """Return the TXT records of a name."""
        # Servers before 4.8 ignore the choice and give the whole zone.
        query = urlencode({"rrset_name": f"{name}.", "rrset_type": "TXT"})
        what = f"read the TXT records of {name}"
        answer = self._ask("GET", f"{self._zone(zone)}?{query}", step, what)
        if answer.status >= _ERRORS:
            raise self._vendor.unknown_zone(what, step, answer)
        for one in self._vendor.objects(self._vendor.members(answer, step).get("rrsets"), step):
            if plain(str(one.get("name"))) == name and one.get("type") == "TXT":
                records = [record for record in as_objects(one.get("records")) if "content" in record]
                ttl = one.get("ttl")
                return RecordSet(
                    contents=[str(record["content"]) for record in records if not record.get("disabled")],
                    ttl=ttl if isinstance(ttl, int) else int(TTL.total_seconds()),
                    others=[record for record in records if record.get("disabled")],
                )
        return None

    def write(self, zone: Zone, name: str, old: RecordSet | None, contents: Sequence[str], step: str) -> bool:
        """Put other contents in the place of a set; the server does not notice that two write at a time."""
        switched_off = old.others if old and old.others else []
        records = [*({"content": content, "disabled": False} for content in contents), *switched_off]
        change: dict[str, Any] = {"name": f"{name}.", "type": "TXT", "changetype": "REPLACE" if records else "DELETE"}
        if records:
            change |= {"ttl": old.ttl if old else int(TTL.total_seconds()), "records": records}
        what = f"change the TXT records of {name}"
        answer = self._ask("PATCH", self._zone(zone), step, what, {"rrsets": [change]})
        if answer.status >= _ERRORS:
            raise self._vendor.unknown_zone(what, step, answer)
        return False

    def _zone(self, zone: Zone) -> str:
        return f"{self._root}/{quote(zone.id, safe='=')}"
