"""IBM Cloud classic infrastructure (SoftLayer) DNS.

Source: the SoftLayer API reference over REST: SoftLayer_Account, SoftLayer_Dns_Domain,
SoftLayer_Dns_Domain_ResourceRecord.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from strongroom.dns.hosted import MOST_PAGES, Hosted, Zone
from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.names import relative
from strongroom.dns.txt import unquoted
from strongroom.dns.vendor import CLEANUP, PRESENT, Vendor, as_object
from strongroom.domain.orders.dns import TTL, PropagationTiming, TxtRecord
from strongroom.kernel.secret import Secret

if TYPE_CHECKING:
    from strongroom.net.client import Answer

_TIMING: Final = PropagationTiming(limit=timedelta(minutes=30), poll=timedelta(minutes=3))
_USER: Final = re.compile(r"[^:]+")
_PER_PAGE: Final = 100
_ERRORS: Final = 300
_NOT_FOUND: Final = 404
_TXT: Final = "SoftLayer_Dns_Domain_ResourceRecord_TxtType"
_RATE: Final = "RateLimit"
_REFUSED: Final = ("NotAuthorized", "PermissionDenied", "AccessDenied", "InvalidCredentials", "InvalidLegacyToken")
_MISSING: Final = ("ObjectNotFound", "NotFound")
_MEANT: Final = (*_REFUSED, *_MISSING, "Public", "InvalidValue", "Validation", "MissingCreationProperty", "Invalid")
"""Ends of exception codes that are about the request, whatever the status; the service likes to answer 500."""


class ClassicInfrastructureKind:
    """Settings ``classic_infrastructure_``."""

    secret_members = frozenset({"classic_infrastructure_password"})

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once."""
        del context
        user = "a user name, usually ACCOUNT_EMAIL, without a colon"
        fields.text("classic_infrastructure_username", least=2, most=128, form=_USER, says=user)
        fields.text("classic_infrastructure_password", least=2, most=128, secret=True)

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> ClassicInfrastructure:
        """Return the provider; no request is made."""
        user, password = values["classic_infrastructure_username"], values["classic_infrastructure_password"]
        vendor = Vendor(
            context.http,
            name="Classic infrastructure",
            base_url=context.classic_url.rstrip("/"),
            is_operators=True,
            secrets=(password,),
            message=lambda answer: str(as_object(json.loads(answer.body)).get("error", "")),
            is_meant=lambda answer: _is(answer, _MEANT),
        )
        return ClassicInfrastructure(vendor, user, password)


class ClassicInfrastructure(Hosted):
    """Writes with a user's name and API key."""

    def __init__(self, vendor: Vendor, user: str, password: str) -> None:
        super().__init__(vendor, _TIMING)
        self._credential = Secret("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii"))

    def _ask(self, method: str, target: str, step: str, what: str, body: Any = None) -> Answer:
        """Send a request; return an answer that says yes, or that something is not there."""
        headers = {"Accept": "application/json", "Authorization": self._credential.reveal()}
        content = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps({"parameters": [body]}).encode()
        answer = self._vendor.send(method, target, headers=headers, body=content)
        if answer.status < _ERRORS or _is_missing(answer):
            return answer
        if _RATE in _code(answer):
            raise self._vendor.unavailable("limits the rate of requests", answer)
        if _is(answer, _REFUSED):
            raise self._vendor.not_authorised(f"may not {what}", step, answer)
        raise self._vendor.refuse(answer, step, what)

    def _pages(self, target: str, query: Mapping[str, str], step: str, what: str) -> Sequence[Mapping[str, Any]]:
        """Return what a list holds, all of its parts together."""
        found: list[Mapping[str, Any]] = []
        for page in range(MOST_PAGES):
            asked = urlencode({**query, "resultLimit": f"{page * _PER_PAGE},{_PER_PAGE}"}, safe=",")
            answer = self._ask("GET", f"{target}?{asked}", step, what)
            if answer.status >= _ERRORS:
                raise self._vendor.unknown_zone(what, step, answer)
            part = self._vendor.objects(self._vendor.json(answer, step), step)
            found += part
            if len(part) < _PER_PAGE:
                return found
        raise self._vendor.error(f"gives more than {MOST_PAGES} pages when asked to {what}", step)

    def _list_zones(self, step: str) -> Sequence[Zone]:
        query = {"objectMask": "mask[id,name]"}
        found = self._pages("/SoftLayer_Account/getDomains.json", query, step, "list its domains")
        return [Zone(id=str(one["id"]), name=str(one["name"])) for one in found if "id" in one and "name" in one]

    def _find(self, zone: Zone, record: TxtRecord, step: str) -> Sequence[str]:
        host = relative(record.name, zone.name)
        chosen = {"resourceRecords": {"type": {"operation": "txt"}, "host": {"operation": host}}}
        query = {
            "objectMask": "mask[id,host,type,data]",
            "objectFilter": json.dumps(chosen, separators=(",", ":")),
        }
        target = f"/SoftLayer_Dns_Domain/{quote(zone.id, safe='')}/getResourceRecords.json"
        found = self._pages(target, query, step, f"list the TXT records of {record.name}")
        return [
            str(one["id"])
            for one in found
            # The filter compares as databases do; what counts is compared here.
            if "id" in one
            and str(one.get("type", "")).lower() == "txt"
            and str(one.get("host", "")).lower() == host
            and unquoted(str(one.get("data", ""))) == record.value
        ]

    def _add(self, zone: Zone, record: TxtRecord) -> str | None:
        existing = self._find(zone, record, PRESENT)
        if existing:
            return existing[0]
        what = f"add a TXT record to {zone.name}"
        body = {
            "complexType": _TXT,
            "domainId": int(zone.id) if zone.id.isdecimal() else zone.id,
            "type": "txt",
            "host": relative(record.name, zone.name),
            "data": record.value,
            "ttl": int(TTL.total_seconds()),
        }
        answer = self._ask("POST", f"/{_TXT}/createObject.json", PRESENT, what, body)
        if answer.status >= _ERRORS:
            raise self._vendor.unknown_zone(what, PRESENT, answer)
        added = self._vendor.members(answer, PRESENT).get("id")
        if added is None:
            raise self._vendor.error("answers without the id of the record that it was asked to add", PRESENT)
        return str(added)

    def _remove(self, zone: Zone, record: TxtRecord, handle: str | None) -> None:
        if handle is not None and self._delete(zone, handle):
            return
        for found in self._find(zone, record, CLEANUP):
            self._delete(zone, found)

    def _delete(self, zone: Zone, record_id: str) -> bool:
        """Remove a record by its id; tell whether it was there."""
        target = f"/SoftLayer_Dns_Domain_ResourceRecord/{quote(record_id, safe='')}.json"
        answer = self._ask("DELETE", target, CLEANUP, f"remove a TXT record from {zone.name}")
        return answer.status < _ERRORS


def _code(answer: Answer) -> str:
    """Return the name of the exception, such as ``SoftLayer_Exception_ObjectNotFound``."""
    try:
        return str(as_object(json.loads(answer.body)).get("code", ""))
    except ValueError:
        return ""


def _is(answer: Answer, ends: tuple[str, ...]) -> bool:
    return _code(answer).rpartition("_")[2] in ends


def _is_missing(answer: Answer) -> bool:
    return answer.status == _NOT_FOUND or _is(answer, _MISSING)
