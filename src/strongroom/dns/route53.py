"""Amazon Route 53.

Source: Amazon Route 53 API Reference 2013-04-01: ListHostedZones, GetHostedZone, ListResourceRecordSets,
ChangeResourceRecordSets.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

from strongroom.dns.aws_signature import AwsKey, query_string, signed_headers
from strongroom.dns.hosted import MOST_PAGES, HostedSets, RecordSet, SetChanged, Zone
from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.names import plain
from strongroom.dns.vendor import Vendor
from strongroom.domain.orders.dns import TTL
from strongroom.kernel.clock import Clock
from strongroom.kernel.value import value

if TYPE_CHECKING:
    from strongroom.net.client import Answer

_REGION: Final = "us-east-1"
_REGION_FORM: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_KEY_ID: Final = re.compile(r"[A-Z0-9]{16,128}")
_SECRET: Final = re.compile(r"[A-Za-z0-9/+=]+")
_ZONE_ID: Final = re.compile(r"(/hostedzone/)?[A-Z0-9]{1,32}")
_NAMESPACE: Final = "https://route53.amazonaws.com/doc/2013-04-01/"
_ROOT: Final = "/2013-04-01/hostedzone"
_ERRORS: Final = 300
_BUSY: Final = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"})
_CREDENTIAL: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CHANGED: Final = re.compile(r"already exists|was not found|do not match the current values")
"""In the words about a batch: the set is not what it was when it was read."""


@value
class _Partition:
    """A part of AWS that has a Route 53 of its own; it takes signatures for one region."""

    url: str
    region: str


_PARTITIONS: Final = {
    "cn-": _Partition(url="https://route53.amazonaws.com.cn", region="cn-northwest-1"),
    "us-gov-": _Partition(url="https://route53.us-gov.amazonaws.com", region="us-gov-west-1"),
    "": _Partition(url="https://route53.amazonaws.com", region=_REGION),
}


class Route53Kind:
    """Settings ``route53_``.

    Args:
        url: of the service, in the place of the one for the region.
    """

    secret_members = frozenset({"route53_secret_access_key"})

    def __init__(self, url: str | None = None) -> None:
        self._url = url

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once."""
        del context
        key_id = "the id of an access key: 16 to 128 capitals and digits"
        fields.text("route53_access_key_id", most=128, form=_KEY_ID, says=key_id)
        fields.text(
            "route53_secret_access_key", most=256, form=_SECRET, says="the secret of an access key", secret=True
        )
        fields.optional_text(
            "route53_hosted_zone_id", form=_ZONE_ID, says="the id of a hosted zone, such as Z111111QQQQQQQ"
        )
        if not fields.is_given("route53_region"):
            fields.keep("route53_region", _REGION)
        fields.optional_text("route53_region", form=_REGION_FORM, says=f"a region such as {_REGION}")

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> Route53:
        """Return the provider; no request is made."""
        region = values.get("route53_region") or _REGION
        partition = next(part for start, part in _PARTITIONS.items() if region.startswith(start))
        key = AwsKey(
            access_key_id=values["route53_access_key_id"],
            secret_access_key=values["route53_secret_access_key"],
            region=partition.region,
            service="route53",
        )
        vendor = Vendor(
            context.http,
            name="Route 53",
            base_url=self._url or partition.url,
            is_operators=True,
            secrets=(key.secret_access_key,),
            message=_message,
        )
        return Route53(vendor, key, values.get("route53_hosted_zone_id") or None, context.clock)


class Route53(HostedSets):
    """Writes with an access key.

    A set is changed by removing exactly the old one and creating the new one in one batch: unlike UPSERT that fails
    when somebody else has changed the set in between, so nothing of theirs is lost.
    """

    def __init__(self, vendor: Vendor, key: AwsKey, zone_id: str | None, clock: Clock) -> None:
        super().__init__(vendor)
        self._key = key
        self._zone_id = zone_id.rpartition("/")[2] if zone_id else None
        self._clock = clock

    def _store(self) -> Route53:
        return self

    def _ask(
        self,
        method: str,
        path: str,
        step: str,
        what: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> ET.Element:
        """Send a request and return the root of the answer.

        Raises:
            DnsProblem: the vendor refused.
            SetChanged: a batch did not fit what the vendor has, or another change of the zone was under way.
            Unavailable: too many requests.
        """
        headers = {"Host": urlsplit(self._vendor.base_url).netloc}
        if body:
            headers["Content-Type"] = "text/xml"
        signed = signed_headers(
            self._key, method=method, path=path, query=query, headers=headers, body=body, at=self._clock.now()
        )
        target = f"{path}?{query_string(query)}" if query else path
        answer = self._vendor.send(method, target, headers=signed, body=body)
        root = _parsed(answer)
        if answer.status < _ERRORS:
            if root is None or not root.tag.startswith(f"{{{_NAMESPACE}}}"):
                raise self._vendor.error(f"answers with something that is not its XML when asked to {what}", step)
            return root
        code, words = _error(root)
        if code in _BUSY:
            raise self._vendor.unavailable("limits the rate of requests", answer)
        if code == "PriorRequestNotComplete" or (code == "InvalidChangeBatch" and _CHANGED.search(words)):
            raise SetChanged
        if code in _CREDENTIAL:
            raise self._vendor.not_authorised(f"may not {what}", step, answer)
        if code == "NoSuchHostedZone":
            raise self._vendor.unknown_zone(what, step, answer)
        raise self._vendor.refuse(answer, step, what)

    def _list_zones(self, step: str) -> Sequence[Zone]:
        if self._zone_id is not None:
            root = self._ask("GET", f"{_ROOT}/{self._zone_id}", step, "read its zone")
            return _zones_in(root)
        found: list[Zone] = []
        marker = ""
        for _ in range(MOST_PAGES):
            query = [("maxitems", "100"), *([("marker", marker)] if marker else ())]
            root = self._ask("GET", _ROOT, step, "list its hosted zones", query=query)
            found += _zones_in(root)
            marker = _text(root, "NextMarker")
            if _text(root, "IsTruncated") != "true" or not marker:
                return found
        raise self._vendor.error(f"gives more than {MOST_PAGES} pages of hosted zones", step)

    def read(self, zone: Zone, name: str, step: str) -> RecordSet | None:
        """Return the TXT records of a name."""
        query = [("name", f"{name}."), ("type", "TXT"), ("maxitems", "1")]
        what = f"read the TXT records of {name}"
        root = self._ask("GET", f"{_ROOT}/{quote(zone.id, safe='')}/rrset", step, what, query=query)
        # The answer begins with the first set from the asked name on, which may be another.
        for one in root.iter(_tag("ResourceRecordSet")):
            if plain(_text(one, "Name")) != name or _text(one, "Type") != "TXT":
                continue
            if _text(one, "SetIdentifier"):
                raise self._vendor.error(f"has TXT records of {name} with a routing policy, which cannot be kept", step)
            ttl = _text(one, "TTL")
            return RecordSet(
                contents=[found.text or "" for found in one.iter(_tag("Value"))],
                ttl=int(ttl) if ttl.isdecimal() else int(TTL.total_seconds()),
            )
        return None

    def write(self, zone: Zone, name: str, old: RecordSet | None, contents: Sequence[str], step: str) -> bool:
        """Put other contents in the place of a set.

        Raises:
            SetChanged: the set is not the old one any more, or another change of the zone was under way.
        """
        ttl = old.ttl if old else int(TTL.total_seconds())
        changes = "".join(
            (
                _change("DELETE", name, old.ttl, old.contents) if old else "",
                _change("CREATE", name, ttl, contents) if contents else "",
            )
        )
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<ChangeResourceRecordSetsRequest xmlns="{_NAMESPACE}"><ChangeBatch><Changes>{changes}</Changes>'
            "</ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
        what = f"change the TXT records of {name}"
        self._ask("POST", f"{_ROOT}/{quote(zone.id, safe='')}/rrset/", step, what, body=body.encode())
        return True


def _change(action: str, name: str, ttl: int, contents: Sequence[str]) -> str:
    records = "".join(f"<ResourceRecord><Value>{escape(content)}</Value></ResourceRecord>" for content in contents)
    return (
        f"<Change><Action>{action}</Action><ResourceRecordSet><Name>{escape(name)}.</Name><Type>TXT</Type>"
        f"<TTL>{ttl}</TTL><ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>"
    )


def _parsed(answer: Answer) -> ET.Element | None:
    """Return the root of a body, nothing for what is no XML, or has a DTD: the service never sends one."""
    if b"<!DOCTYPE" in answer.body or b"<!ENTITY" in answer.body:
        return None
    try:
        return ET.fromstring(answer.body)  # noqa: S314  (no entities without a DTD; the size is limited)
    except ET.ParseError:
        return None


def _error(root: ET.Element | None) -> tuple[str, str]:
    """Return code and words of an error, in either of its two shapes."""
    if root is None:
        return "", ""
    words = "; ".join(found.text or "" for found in root.iter() if found.tag.rpartition("}")[2] == "Message")
    name = root.tag.rpartition("}")[2]
    code = next((found.text or "" for found in root.iter() if found.tag.rpartition("}")[2] == "Code"), "")
    return code or ("" if name == "ErrorResponse" else name), words


def _message(answer: Answer) -> str:
    code, words = _error(_parsed(answer))
    return f"{words} ({code})" if code else words


def _zones_in(root: ET.Element) -> list[Zone]:
    """Return the public zones of an answer; those of private networks no CA sees."""
    return [
        Zone(id=_text(one, "Id").rpartition("/")[2], name=plain(_text(one, "Name")))
        for one in root.iter(_tag("HostedZone"))
        if _text(one, "Config", "PrivateZone") != "true"
    ]


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def _text(parent: ET.Element, *names: str) -> str:
    """Return the text of what is found by going down the names; nothing if it is not there."""
    return parent.findtext("/".join(_tag(name) for name in names)) or ""
