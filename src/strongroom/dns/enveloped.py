"""Records by id, in the JSON envelope of Cloudflare, which Cloud Internet Services speaks too.

Source: the API references of Cloudflare (v4) and of IBM Cloud Internet Services (zones, DNS records).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from strongroom.dns.hosted import MOST_PAGES, TIMING, Hosted, Zone
from strongroom.dns.txt import quoted, unquoted
from strongroom.dns.vendor import CLEANUP, PRESENT, Vendor, as_object, as_objects
from strongroom.domain.orders.dns import TTL, DnsProblem, PropagationTiming, TxtRecord

if TYPE_CHECKING:
    from strongroom.net.client import Answer

_OK: Final = 200
_ERRORS: Final = 300
_NOT_FOUND: Final = 404
_PER_PAGE: Final = 50
_SAME_RECORD: Final = frozenset({81053, 81057, 81058})
"""Codes for a record that exists already."""
_NO_RECORD: Final = frozenset({81044, 1032})
"""Codes for a record that does not exist."""
_CREDENTIAL: Final = frozenset({6003, 6103, 6111, 9103, 9106, 9107, 9109, 10000, 10001})
"""Codes for credentials that cannot be right, given with status 400."""
_NO_ZONE: Final = frozenset({1001, 7000, 7003, 1049})
"""Codes for a zone that the account does not have."""


def errors_of(answer: Answer) -> Mapping[int, str]:
    """Return the errors of an envelope by their codes; an answer that is none has none."""
    try:
        envelope = as_object(json.loads(answer.body))
    except ValueError:
        return {}
    found: dict[int, str] = {}
    for error in as_objects(envelope.get("errors")):
        found[_number(error.get("code"))] = str(error.get("message", ""))
        for link in as_objects(error.get("error_chain")):
            found[_number(link.get("code"))] = str(link.get("message", ""))
    return found


def message_of(answer: Answer) -> str:
    """Return the vendor's words about an error."""
    return "; ".join(f"{words} (code {code})" if code else words for code, words in errors_of(answer).items())


class EnvelopedRecords(Hosted):
    """A provider that speaks the envelope; subclasses bring the credential.

    Args:
        vendor: whom it asks.
        root: path of the list of zones: ``/zones``.
        zone_id: the only zone to write in; ``None`` for all of the account.
        timing: how long the vendor takes.
    """

    def __init__(
        self, vendor: Vendor, *, root: str, zone_id: str | None = None, timing: PropagationTiming = TIMING
    ) -> None:
        super().__init__(vendor, timing)
        self._root = root
        self._zone_id = zone_id

    def _credential(self, step: str) -> Mapping[str, str]:
        """Return the headers that say who asks."""
        raise NotImplementedError

    def _ask(self, method: str, target: str, step: str, what: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send a request; return an answer that says yes, or that something is not there or there already."""
        answer = self._send(method, target, step, body)
        if answer.status < _ERRORS or answer.status == _NOT_FOUND:
            return answer
        codes = errors_of(answer).keys()
        if codes & (_SAME_RECORD | _NO_RECORD):
            return answer
        if answer.status not in {401, 403} and codes & _NO_ZONE and not codes & _CREDENTIAL:
            return answer
        if codes & _CREDENTIAL:
            raise self._vendor.not_authorised(f"may not {what}", step, answer)
        raise self._vendor.refuse(answer, step, what)

    def _send(self, method: str, target: str, step: str, body: Mapping[str, Any] | None) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **self._credential(step)}
        if content:
            headers["Content-Type"] = "application/json"
        return self._vendor.send(method, target, headers=headers, body=content)

    def _list_zones(self, step: str) -> Sequence[Zone]:
        if self._zone_id is not None:
            answer = self._ask("GET", f"{self._root}/{quote(self._zone_id, safe='')}", step, "read its zone")
            if answer.status != _OK:
                raise self._missing(answer, step, "read its zone")
            found = self._vendor.objects([self._vendor.members(answer, step).get("result")], step)
        else:
            found = list(self._pages(self._root, {}, step, "list its zones"))
        return [Zone(id=str(zone["id"]), name=str(zone["name"])) for zone in found if "id" in zone and "name" in zone]

    def _pages(self, target: str, query: Mapping[str, str], step: str, what: str) -> Iterator[Mapping[str, Any]]:
        """Yield what a list holds, page after page."""
        for page in range(1, MOST_PAGES + 1):
            asked = urlencode({**query, "page": page, "per_page": _PER_PAGE})
            answer = self._ask("GET", f"{target}?{asked}", step, what)
            if answer.status != _OK:
                raise self._missing(answer, step, what)
            envelope = self._vendor.members(answer, step)
            found = self._vendor.objects(envelope.get("result"), step)
            yield from found
            total = _number(as_object(envelope.get("result_info")).get("total_count"))
            if not found or page * _PER_PAGE >= total:
                return
        raise self._vendor.error(f"gives more than {MOST_PAGES} pages when asked to {what}", step)

    def _missing(self, answer: Answer, step: str, what: str) -> DnsProblem:
        """Return the problem of a zone, or a whole account, that is not there."""
        if errors_of(answer).keys() & _NO_ZONE or answer.status == _NOT_FOUND:
            return self._vendor.unknown_zone(what, step, answer)
        return self._vendor.refuse(answer, step, what)

    def _records(self, zone: Zone) -> str:
        return f"{self._root}/{quote(zone.id, safe='')}/dns_records"

    def _find(self, zone: Zone, record: TxtRecord, step: str) -> Sequence[str]:
        """Return the ids of the records with the name and value; the value is compared here, quotes or not."""
        query = {"type": "TXT", "name": record.name}
        found = self._pages(self._records(zone), query, step, f"list the TXT records of {record.name}")
        return [str(one["id"]) for one in found if "id" in one and unquoted(str(one.get("content"))) == record.value]

    def _add(self, zone: Zone, record: TxtRecord) -> str | None:
        existing = self._find(zone, record, PRESENT)
        if existing:
            return existing[0]
        what = f"add a TXT record to {zone.name}"
        body = {
            "type": "TXT",
            "name": record.name,
            "content": self._content(record.value),
            "ttl": int(TTL.total_seconds()),
        }
        answer = self._ask("POST", self._records(zone), PRESENT, what, body)
        if errors_of(answer).keys() & _SAME_RECORD:
            existing = self._find(zone, record, PRESENT)
            return existing[0] if existing else None
        if answer.status >= _ERRORS:
            raise self._missing(answer, PRESENT, what)
        added = as_object(self._vendor.members(answer, PRESENT).get("result")).get("id")
        if added is None:
            raise self._vendor.error("answers without the id of the record that it was asked to add", PRESENT)
        return str(added)

    def _content(self, text: str) -> str:
        """Return a value as the vendor wants it: in quotes, or it adds them and warns."""
        return quoted(text)

    def _remove(self, zone: Zone, record: TxtRecord, handle: str | None) -> None:
        if handle is not None and self._delete(zone, handle):
            return
        for found in self._find(zone, record, CLEANUP):
            self._delete(zone, found)

    def _delete(self, zone: Zone, record_id: str) -> bool:
        """Remove a record by its id; tell whether it was there."""
        target = f"{self._records(zone)}/{quote(record_id, safe='')}"
        answer = self._ask("DELETE", target, CLEANUP, f"remove a TXT record from {zone.name}")
        return answer.status < _ERRORS


def _number(given: Any) -> int:
    try:
        return int(given)
    except (TypeError, ValueError):
        return 0
