"""The APIs of DNS vendors on loopback, with records that stay, as their references describe them.

Nothing of the product is used here: what is checked is what arrives.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.peers.signed_requests import Arrived, aws_problem, basic_credential, decoded, edgegrid_problem

CRN = "crn:v1:bluemix:public:internet-svcs:global:a/0123456789abcdef:00000000-1111-2222-3333-444444444444::"
CLOUD_KEY = "cis-api-key-0123456789"
CLASSIC_USER = "1234567_dns@example.com"
CLASSIC_PASSWORD = "classic-api-key-0123456789"
CLOUDFLARE_TOKEN = "cf-token-0123456789abcdef"
AWS_KEY_ID = "AKIAEXAMPLEEXAMPLE00"
AWS_SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0A"
POWERDNS_KEY = "powerdns-key-0123456789"
AKAMAI_HOST = "akab-example-host.luna.akamaiapis.net"
AKAMAI = {
    "client_token": "akab-client-token-0123456789",
    "client_secret": "akamai-client-secret-0123456789=",
    "access_token": "akab-access-token-0123456789",
}
_XML = "https://route53.amazonaws.com/doc/2013-04-01/"


@dataclass
class Record:
    """A record at a vendor; ``text`` is written as the vendor keeps it."""

    id: str
    zone: str
    name: str
    text: str
    ttl: int
    is_disabled: bool = False

    @property
    def value(self) -> str:
        """Return the text without quotes."""
        return self.text.strip('"')


@dataclass
class Answered:
    """What is answered: a status with JSON, or text as it is."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Vendors:
    """State of all vendors.

    Attributes:
        zones: names by id; every vendor has the same.
        hidden: more zones before the others, to fill pages.
        answers: given in the place of the next answers.
        before_write: called once before the next write: another writer.
        seen: method and target of every request.
        delay: seconds to wait before each answer.
        is_away: whether connections are broken off without an answer.
    """

    url: str = ""
    zones: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    before_write: Callable[[], object] | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    delay: float = 0.0
    is_away: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(7001))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def values(self, name: str) -> list[str]:
        """Return the values that a name has, sorted."""
        return sorted(record.value for record in self.records if record.name == name and not record.is_disabled)

    def add(self, zone: str, name: str, text: str, *, ttl: int = 120, is_disabled: bool = False) -> Record:
        """Put a record there, past the APIs."""
        record = Record(str(next(self.numbers)), zone, name, text, ttl, is_disabled)
        self.records.append(record)
        return record

    def more_zones(self, count: int) -> None:
        """Put more zones before the others, so that those are on a later page."""
        self.zones = {f"{9000 + index}": f"a{index}.example.net" for index in range(count)} | self.zones

    def answer(self, request: Arrived) -> Answered:
        """Answer a request, one at a time."""
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            self.seen.append((request.method, request.target))
            if self.answers:
                return self.answers.pop(0)
            for start, vendor in _VENDORS.items():
                if request.path.startswith(start):
                    return vendor(self, request, request.path.removeprefix(start))
        return Answered(404, {"error": "no such API"})

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be out of reach for a while."""
        self.is_away = True
        try:
            yield
        finally:
            self.is_away = False

    def write(self) -> None:
        """Let another writer come first."""
        other, self.before_write = self.before_write, None
        if other is not None:
            other()


@contextmanager
def running_vendors(zones: tuple[str, ...] = ("example.com", "dev.example.com", "example.org")) -> Iterator[Vendors]:
    """Run the server for a while."""
    vendors = Vendors(zones={str(501 + index): name for index, name in enumerate(zones)})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            if vendors.is_away:
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): text for name, text in self.headers.items()}
            answered = vendors.answer(Arrived(method=self.command, target=self.path, headers=headers, body=body))
            text = answered.body if isinstance(answered.body, str) else json.dumps(answered.body)
            content = b"" if answered.body is None else text.encode()
            self.send_response(answered.status)
            for name, text in answered.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    vendors.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield vendors
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# Cloudflare, and Cloud Internet Services, which speaks the same


def _envelope(status: int, result: Any = None, *, error: tuple[int, str] | None = None, **more: Any) -> Answered:
    errors = [{"code": error[0], "message": error[1]}] if error else []
    return Answered(status, {"success": not error, "errors": errors, "messages": [], "result": result, **more})


def _page(found: list[Any], query: dict[str, str]) -> Answered:
    page, size = int(query.get("page", "1")), int(query.get("per_page", "20"))
    if not 5 <= size <= 50:
        return _envelope(400, error=(1002, "Invalid per_page"))
    part = found[(page - 1) * size : page * size]
    info = {"page": page, "per_page": size, "count": len(part), "total_count": len(found)}
    return _envelope(200, part, result_info=info)


def _enveloped(vendors: Vendors, request: Arrived, rest: str, *, is_quoted: bool) -> Answered:
    parts = rest.strip("/").split("/")
    if parts == [""]:
        return _page([{"id": key, "name": name} for key, name in vendors.zones.items()], request.query)
    zone = decoded(parts[0])
    if zone not in vendors.zones:
        return _envelope(404, error=(7003, f"Could not route to /zones/{zone}, the identifier is not valid"))
    if len(parts) == 1:
        return _envelope(200, {"id": zone, "name": vendors.zones[zone]})
    in_zone = [record for record in vendors.records if record.zone == zone]
    if request.method == "GET":
        chosen = [record for record in in_zone if record.name == request.query.get("name", record.name)]
        shown = [{"id": one.id, "type": "TXT", "name": one.name, "content": one.text} for one in chosen]
        return _page(shown, request.query)
    if request.method == "POST":
        vendors.write()
        given = json.loads(request.body)
        if given["type"] != "TXT" or given["ttl"] < 60 or given["content"].startswith('"') is not is_quoted:
            return _envelope(400, error=(9005, "Content for TXT record is invalid."))
        in_zone = [record for record in vendors.records if record.zone == zone]
        if any(one.name == given["name"] and one.text == given["content"] for one in in_zone):
            return _envelope(400, error=(81058, "An identical record already exists."))
        added = vendors.add(zone, given["name"], given["content"], ttl=given["ttl"])
        return _envelope(200, {"id": added.id, "name": added.name})
    found = next((record for record in in_zone if record.id == parts[2]), None)
    if found is None:
        return _envelope(404, error=(81044, "Record does not exist."))
    vendors.records.remove(found)
    return _envelope(200, {"id": found.id})


def _cloudflare(vendors: Vendors, request: Arrived, rest: str) -> Answered:
    if request.headers.get("authorization") != f"Bearer {CLOUDFLARE_TOKEN}":
        return _envelope(403, error=(9109, "Invalid access token"))
    return _enveloped(vendors, request, rest, is_quoted=True)


def _iam(vendors: Vendors, request: Arrived, rest: str) -> Answered:
    given = dict(parse_qsl(request.body.decode()))
    if (
        request.method != "POST"
        or rest
        or request.headers.get("content-type") != "application/x-www-form-urlencoded"
        or given.get("grant_type") != "urn:ibm:params:oauth:grant-type:apikey"
        or given.get("apikey") != CLOUD_KEY
    ):
        return Answered(400, {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."})
    vendors.tokens.append(f"iam-token-{len(vendors.tokens)}")
    return Answered(200, {"access_token": vendors.tokens[-1], "token_type": "Bearer", "expires_in": 3600})


def _cloud(vendors: Vendors, request: Arrived, rest: str) -> Answered:
    if request.headers.get("x-auth-user-token") not in {f"Bearer {token}" for token in vendors.tokens}:
        return _envelope(401, error=(10000, "Authentication error"))
    crn, _, below = rest.partition("/")
    if decoded(crn) != CRN or not below.startswith("zones"):
        return _envelope(404, error=(1001, "Instance not found"))
    return _enveloped(vendors, request, below.removeprefix("zones"), is_quoted=False)


# Classic infrastructure


def _classic_error(status: int, code: str, words: str) -> Answered:
    return Answered(status, {"error": words, "code": f"SoftLayer_Exception_{code}"})


def _classic(vendors: Vendors, request: Arrived, rest: str) -> Answered:
    if basic_credential(request) != (CLASSIC_USER, CLASSIC_PASSWORD):
        return _classic_error(401, "InvalidLegacyToken", "Invalid API token.")
    start, _, size = request.query.get("resultLimit", "0,100").partition(",")
    limit = slice(int(start), int(start) + int(size))
    if rest == "SoftLayer_Account/getDomains.json":
        return Answered(200, [{"id": int(key), "name": name} for key, name in vendors.zones.items()][limit])
    if listing := re.fullmatch(r"SoftLayer_Dns_Domain/(\d+)/getResourceRecords\.json", rest):
        if listing[1] not in vendors.zones:
            return _classic_error(404, "ObjectNotFound", f"Unable to find object with id of '{listing[1]}'.")
        chosen = json.loads(request.query["objectFilter"])["resourceRecords"]
        zone = vendors.zones[listing[1]]
        shown = [
            {"id": int(one.id), "host": one.name.removesuffix(zone).rstrip(".") or "@", "type": "txt", "data": one.text}
            for one in vendors.records
            if one.zone == listing[1]
        ]
        return Answered(200, [one for one in shown if one["host"] == chosen["host"]["operation"]][limit])
    if rest == "SoftLayer_Dns_Domain_ResourceRecord_TxtType/createObject.json" and request.method == "POST":
        (given,) = json.loads(request.body)["parameters"]
        if str(given["domainId"]) not in vendors.zones:
            return _classic_error(404, "ObjectNotFound", "Unable to find the domain.")
        zone = vendors.zones[str(given["domainId"])]
        if given["host"].endswith(zone) or given["type"] != "txt":
            return _classic_error(500, "Public", "The host is not valid.")
        name = zone if given["host"] == "@" else f"{given['host']}.{zone}"
        added = vendors.add(str(given["domainId"]), name, given["data"], ttl=given["ttl"])
        return Answered(201, {"id": int(added.id), "host": given["host"]})
    if removing := re.fullmatch(r"SoftLayer_Dns_Domain_ResourceRecord/(\d+)\.json", rest):
        found = next((record for record in vendors.records if record.id == removing[1]), None)
        if found is None or request.method != "DELETE":
            return _classic_error(404, "ObjectNotFound", f"Unable to find object with id of '{removing[1]}'.")
        vendors.records.remove(found)
        return Answered(200, True)
    return _classic_error(404, "NotFound", "No such method.")


# Record sets


def _set(vendors: Vendors, zone: str, name: str) -> list[Record]:
    return [record for record in vendors.records if (record.zone, record.name) == (zone, name)]


def _replace(vendors: Vendors, zone: str, name: str, texts: list[str], ttl: int) -> None:
    for record in _set(vendors, zone, name):
        vendors.records.remove(record)
    for text in texts:
        vendors.add(zone, name, text, ttl=ttl)


def _aws_error(status: int, code: str, words: str) -> Answered:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{words}</Message></Error>"
    return Answered(status, f'<ErrorResponse xmlns="{_XML}">{error}<RequestId>1</RequestId></ErrorResponse>')


def _route53(vendors: Vendors, request: Arrived, rest: str) -> Answered:
    problem = aws_problem(
        request, key_id=AWS_KEY_ID, secret=AWS_SECRET, region="us-east-1", service="route53", now=vendors.now()
    )
    if problem:
        return _aws_error(403, problem, "The request is not signed as it should be.")
    parts = [decoded(part) for part in rest.strip("/").split("/")]
    if parts == [""]:
        keys = [*vendors.zones]
        start = keys.index(request.query["marker"]) if "marker" in request.query else 0
        size = int(request.query["maxitems"])
        shown = "".join(_hosted_zone(key, vendors.zones[key]) for key in keys[start : start + size])
        following = f"<NextMarker>{keys[start + size]}</NextMarker>" if start + size < len(keys) else ""
        private = _hosted_zone("P1", "example.com", is_private=True)
        is_more = str(bool(following)).lower()
        return Answered(
            200,
            f'<?xml version="1.0"?><ListHostedZonesResponse xmlns="{_XML}"><HostedZones>{private}{shown}</HostedZones>'
            f"<IsTruncated>{is_more}</IsTruncated>{following}<MaxItems>{size}</MaxItems></ListHostedZonesResponse>",
        )
    zone = parts[0]
    if zone not in vendors.zones:
        return _aws_error(404, "NoSuchHostedZone", f"No hosted zone found with ID: {zone}")
    if len(parts) == 1:
        shown = _hosted_zone(zone, vendors.zones[zone])
        return Answered(200, f'<GetHostedZoneResponse xmlns="{_XML}">{shown}</GetHostedZoneResponse>')
    if request.method == "GET":
        asked = request.query["name"].rstrip(".")
        # The list goes on from the asked name: another name if it has none.
        names = sorted({record.name for record in vendors.records if record.zone == zone and record.name >= asked})
        shown = "".join(_aws_set(name, _set(vendors, zone, name)) for name in names[: int(request.query["maxitems"])])
        return Answered(
            200,
            f'<ListResourceRecordSetsResponse xmlns="{_XML}"><ResourceRecordSets>{shown}</ResourceRecordSets>'
            "<IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>",
        )
    vendors.write()
    return _aws_batch(vendors, zone, request.body)


def _hosted_zone(key: str, name: str, *, is_private: bool = False) -> str:
    config = f"<Config><PrivateZone>{str(is_private).lower()}</PrivateZone></Config>"
    return f"<HostedZone><Id>/hostedzone/{key}</Id><Name>{name}.</Name>{config}</HostedZone>"


def _aws_set(name: str, records: list[Record]) -> str:
    shown = "".join(f"<ResourceRecord><Value>{one.text}</Value></ResourceRecord>" for one in records)
    return (
        f"<ResourceRecordSet><Name>{name}.</Name><Type>TXT</Type><TTL>{records[0].ttl}</TTL>"
        f"<ResourceRecords>{shown}</ResourceRecords></ResourceRecordSet>"
    )


def _aws_batch(vendors: Vendors, zone: str, body: bytes) -> Answered:
    """Apply a batch as a whole or not at all."""
    tag = f"{{{_XML}}}"
    before = list(vendors.records)
    for change in ET.fromstring(body).iter(f"{tag}Change"):  # noqa: S314  (our own test's request)
        one = change.find(f"{tag}ResourceRecordSet")
        assert one is not None
        name = (one.findtext(f"{tag}Name") or "").rstrip(".")
        ttl = int(one.findtext(f"{tag}TTL") or 0)
        texts = [found.text or "" for found in one.iter(f"{tag}Value")]
        current = _set(vendors, zone, name)
        shown = f"[name='{name}.', type='TXT']"
        problem = ""
        if change.findtext(f"{tag}Action") == "DELETE":
            if not current:
                problem = f"Tried to delete resource record set {shown} but it was not found"
            elif sorted(one.text for one in current) != sorted(texts) or current[0].ttl != ttl:
                problem = f"Tried to delete {shown} but the values provided do not match the current values"
            _replace(vendors, zone, name, [], 0)
        elif current:
            problem = f"Tried to create resource record set {shown} but it already exists"
        elif not all(re.fullmatch(r'"[^"]*"', text) for text in texts) or not ttl:
            problem = f"Invalid Resource Record: {shown}"
        else:
            _replace(vendors, zone, name, texts, ttl)
        if problem:
            vendors.records[:] = before
            return _aws_error(400, "InvalidChangeBatch", f"[{problem}]")
    return Answered(
        200, f'<ChangeResourceRecordSetsResponse xmlns="{_XML}"><ChangeInfo/></ChangeResourceRecordSetsResponse>'
    )


def _powerdns(vendors: Vendors, request: Arrived, rest: str) -> Answered:
    if request.headers.get("x-api-key") != POWERDNS_KEY:
        return Answered(401, "Unauthorized")
    parts = [decoded(part) for part in rest.strip("/").split("/")]
    if parts[0] != "localhost" or parts[1] != "zones":
        return Answered(404, "Not Found")
    if len(parts) == 2:
        held = [{"id": f"{name}.", "name": f"{name}.", "kind": "Native"} for name in vendors.zones.values()]
        return Answered(200, [*held, {"id": "copy.example.", "name": "copy.example.", "kind": "Slave"}])
    zone = next((key for key, name in vendors.zones.items() if f"{name}." == parts[2]), None)
    if zone is None:
        return Answered(404, {"error": f"Could not find domain '{parts[2]}'"})
    if request.method == "GET":
        names = sorted({record.name for record in vendors.records if record.zone == zone})
        sets = [_powerdns_set(vendors, zone, name) for name in names]
        return Answered(200, {"name": parts[2], "kind": "Native", "rrsets": sets})
    vendors.write()
    return next((bad for bad in _powerdns_changes(vendors, zone, request) if bad), Answered(204))


def _powerdns_changes(vendors: Vendors, zone: str, request: Arrived) -> Iterator[Answered | None]:
    """Apply changes; yield what is wrong with one."""
    for change in json.loads(request.body)["rrsets"]:
        name, where = change["name"].removesuffix("."), vendors.zones[zone]
        if change["type"] != "TXT" or not (name == where or name.endswith(f".{where}")):
            yield Answered(422, {"error": f"RRset {change['name']} IN {change['type']}: Name is out of zone"})
        given = change["records"] if change["changetype"] == "REPLACE" else []
        if not all(re.fullmatch(r'"[^"]*"', one["content"]) for one in given):
            yield Answered(422, {"error": f"Record {change['name']}/TXT: Data field in DNS should start with quote"})
        _replace(vendors, zone, name, [], 0)
        for one in given:
            vendors.add(zone, name, one["content"], ttl=change["ttl"], is_disabled=one["disabled"])
        yield None


def _powerdns_set(vendors: Vendors, zone: str, name: str) -> dict[str, Any]:
    records = _set(vendors, zone, name)
    shown = [{"content": one.text, "disabled": one.is_disabled} for one in records]
    return {"name": f"{name}.", "type": "TXT", "ttl": records[0].ttl, "records": shown, "comments": []}


def _akamai(vendors: Vendors, request: Arrived, rest: str) -> Answered:
    problem = edgegrid_problem(request, host=AKAMAI_HOST, now=vendors.now(), nonces=vendors.nonces, **AKAMAI)
    if problem:
        return Answered(401, {"title": "Not authorized", "status": 401, "detail": problem})
    parts = [decoded(part) for part in rest.strip("/").split("/")]
    if parts == [""]:
        page, size = int(request.query["page"]), int(request.query["pageSize"])
        shown = [{"zone": name, "type": "PRIMARY"} for name in vendors.zones.values()]
        told = {"page": page, "pageSize": size, "showAll": False, "totalElements": len(shown)}
        return Answered(200, {"metadata": told, "zones": shown[(page - 1) * size : page * size]})
    zone = next((key for key, name in vendors.zones.items() if name == parts[0]), None)
    if zone is None or parts[1] != "names" or parts[3:] != ["types", "TXT"]:
        return Answered(404, {"title": "Not Found", "status": 404, "detail": f"{parts[0]} was not found"})
    if request.method != "GET":
        vendors.write()
    current = _set(vendors, zone, parts[2])
    if request.method == "POST":
        if current:
            return Answered(409, {"title": "Conflict", "status": 409, "detail": "The record set exists"})
    elif not current:
        return Answered(404, {"title": "Not Found", "status": 404, "detail": f"{parts[2]} has no TXT record"})
    return _akamai_set(vendors, request, zone, parts[2])


def _akamai_set(vendors: Vendors, request: Arrived, zone: str, name: str) -> Answered:
    if request.method == "GET":
        current = _set(vendors, zone, name)
        texts = [one.text for one in current]
        return Answered(200, {"name": name, "type": "TXT", "ttl": current[0].ttl, "rdata": texts})
    if request.method == "DELETE":
        _replace(vendors, zone, name, [], 0)
        return Answered(204)
    given = json.loads(request.body)
    if given["name"] != name or not given["rdata"] or not all(re.fullmatch(r'"[^"]*"', one) for one in given["rdata"]):
        return Answered(400, {"title": "Bad Request", "status": 400, "detail": "The rdata is not valid"})
    _replace(vendors, zone, name, given["rdata"], given["ttl"])
    return Answered(201 if request.method == "POST" else 200, given)


_VENDORS: dict[str, Callable[[Vendors, Arrived, str], Answered]] = {
    "/client/v4/zones": _cloudflare,
    "/identity/token": _iam,
    "/v1/": _cloud,
    "/rest/v3.1/": _classic,
    "/2013-04-01/hostedzone": _route53,
    "/api/v1/servers/": _powerdns,
    "/config-dns/v2/zones": _akamai,
}
