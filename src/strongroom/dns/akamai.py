"""Akamai Edge DNS. Source: Akamai Edge DNS API v2, zones and record sets."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from strongroom.dns.akamai_signature import AkamaiKey, authorization
from strongroom.dns.hosted import MOST_PAGES, HostedSets, RecordSet, SetChanged, Zone
from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.vendor import Vendor, as_object
from strongroom.domain.orders.dns import TTL
from strongroom.kernel.clock import Clock

if TYPE_CHECKING:
    from strongroom.net.client import Answer

_HOST: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\.akamaiapis\.net")
_VISIBLE: Final = re.compile(r"[!-:<-~]+")
_PER_PAGE: Final = 100
_ERRORS: Final = 300
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


class AkamaiKind:
    """Settings ``akamai_``.

    Args:
        url_of: makes the base URL of a host.
    """

    secret_members = frozenset({"akamai_client_secret", "akamai_client_token", "akamai_access_token"})

    def __init__(self, url_of: Callable[[str], str] = "https://{}".format) -> None:
        self._url_of = url_of

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once."""
        del context
        fields.text(
            "akamai_host",
            most=253,
            form=_HOST,
            says="an API client's host, in small letters, below .akamaiapis.net",
        )
        for name in ("akamai_client_token", "akamai_client_secret", "akamai_access_token"):
            fields.text(name, most=512, form=_VISIBLE, says="visible ASCII characters without semicolons", secret=True)

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> Akamai:
        """Return the provider; no request is made."""
        key = AkamaiKey(
            client_token=values["akamai_client_token"],
            client_secret=values["akamai_client_secret"],
            access_token=values["akamai_access_token"],
        )
        url = self._url_of(values["akamai_host"])
        vendor = Vendor(
            context.http,
            name="Akamai",
            base_url=url,
            is_operators=False,
            allow_http=not url.startswith("https:"),
            secrets=(key.client_secret, key.client_token, key.access_token),
            message=_message,
        )
        return Akamai(vendor, key, values["akamai_host"], context.clock)


class Akamai(HostedSets):
    """Writes with the credentials of an API client."""

    def __init__(self, vendor: Vendor, key: AkamaiKey, host: str, clock: Clock) -> None:
        super().__init__(vendor)
        self._key = key
        self._host = host
        self._clock = clock

    def _store(self) -> Akamai:
        return self

    def _ask(self, method: str, target: str, step: str, what: str, body: Any = None) -> Answer:
        """Send a request; return an answer that says yes, that something is not there, or that it changed."""
        content = b"" if body is None else json.dumps(body).encode()
        path = f"/config-dns/v2/zones{target}"
        headers = {
            "Accept": "application/json",
            "Authorization": authorization(
                self._key,
                method=method,
                host=self._host,
                target=path,
                body=content,
                at=self._clock.now(),
                nonce=str(uuid.uuid4()),
            ),
        }
        if content:
            headers["Content-Type"] = "application/json"
        answer = self._vendor.send(method, path, headers=headers, body=content)
        if answer.status < _ERRORS or answer.status in {_NOT_FOUND, _CONFLICT}:
            return answer
        raise self._vendor.refuse(answer, step, what)

    def _list_zones(self, step: str) -> Sequence[Zone]:
        what = "list its zones"
        found: list[Zone] = []
        for page in range(1, MOST_PAGES + 1):
            # Records of secondary zones and aliases cannot be written.
            query = urlencode({"page": page, "pageSize": _PER_PAGE, "sortBy": "zone", "types": "primary"})
            answer = self._ask("GET", f"?{query}", step, what)
            if answer.status >= _ERRORS:
                raise self._vendor.refuse(answer, step, what)
            said = self._vendor.members(answer, step)
            part = self._vendor.objects(said.get("zones"), step)
            found += [Zone(id=str(zone["zone"]), name=str(zone["zone"])) for zone in part if "zone" in zone]
            total = as_object(said.get("metadata")).get("totalElements")
            if not part or not isinstance(total, int) or page * _PER_PAGE >= total:
                return found
        raise self._vendor.error(f"gives more than {MOST_PAGES} pages when asked to {what}", step)

    def read(self, zone: Zone, name: str, step: str) -> RecordSet | None:
        """Return the TXT records of a name."""
        what = f"read the TXT records of {name}"
        answer = self._ask("GET", self._set(zone, name), step, what)
        if answer.status == _NOT_FOUND:
            # The same status stands for a zone that is gone; writing tells them apart.
            return None
        if answer.status >= _ERRORS:
            raise self._vendor.refuse(answer, step, what)
        found = self._vendor.members(answer, step)
        contents, ttl = found.get("rdata"), found.get("ttl")
        if not isinstance(contents, list):
            raise self._vendor.error(f"answers without the values that it has for {name}", step)
        return RecordSet(
            contents=[str(content) for content in contents],
            ttl=ttl if isinstance(ttl, int) else int(TTL.total_seconds()),
        )

    def write(self, zone: Zone, name: str, old: RecordSet | None, contents: Sequence[str], step: str) -> bool:
        """Put other contents in the place of a set; only a few collisions are noticed.

        Raises:
            SetChanged: the set appeared or went away in between, or another change of the zone was under way.
        """
        what = f"change the TXT records of {name}"
        body = {"name": name, "type": "TXT", "ttl": old.ttl if old else int(TTL.total_seconds()), "rdata": [*contents]}
        if not contents:
            answer = self._ask("DELETE", self._set(zone, name), step, what)
        else:
            answer = self._ask("PUT" if old else "POST", self._set(zone, name), step, what, body)
        if answer.status == _CONFLICT or (answer.status == _NOT_FOUND and old is not None):
            raise SetChanged
        if answer.status == _NOT_FOUND:
            raise self._vendor.unknown_zone(what, step, answer)
        return False

    def _set(self, zone: Zone, name: str) -> str:
        return f"/{quote(zone.id, safe='')}/names/{quote(name, safe='')}/types/TXT"


def _message(answer: Answer) -> str:
    problem = as_object(json.loads(answer.body))
    return str(problem.get("detail") or problem.get("title") or "")
