"""Reads what ACME servers answer, member by member. Sources: RFC 8555 sections 7.1 and 9.1, RFC 9773 section 4.2.

The ``acme`` library raises a dozen kinds of errors for answers that are not as they should be, and some not at all.
Here each member is checked, and whatever is wrong is one `AcmeProblem` that says which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from strongroom.domain.orders.acme import (
    AcmeAuthorization,
    AcmeChain,
    AcmeDirectory,
    AcmeOrder,
    AcmeProblem,
    AcmeStatus,
    RenewalWindow,
)
from strongroom.engines.public.acme_errors import Problem, clean, load_json, malformed, read_problem
from strongroom.kernel.errors import Invalid
from strongroom.kernel.time import parse_rfc3339
from strongroom.kernel.value import value
from strongroom.pki.load import load_certificates

DNS_01: Final = "dns-01"

_MAX_URL: Final = 2048
_MAX_NAMES: Final = 1000
_MAX_NAME: Final = 255
_MAX_PROFILES: Final = 100
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,512}", re.ASCII)
_VISIBLE: Final = re.compile(r"[!-~]+", re.ASCII)
_LINK: Final = re.compile(r'<([^<>]*)>((?:\s*;\s*[a-zA-Z*]+\s*=\s*(?:"[^"]*"|[^\s",;]*))*)', re.ASCII)
_RELATION: Final = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]*))', re.ASCII | re.IGNORECASE)


@value
class Answer:
    """A successful answer.

    Attributes:
        host: that gave it, for messages.
        url: that it came from.
    """

    host: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_after: timedelta | None = None

    def document(self) -> Document:
        """Return the JSON object that it holds.

        Raises:
            AcmeProblem: it holds none.
        """
        try:
            content = load_json(self.body)
        except ValueError:
            raise malformed(self.host, "no JSON") from None
        return Document(self, content)

    def location(self) -> str:
        """Return the URL of what was made.

        Raises:
            AcmeProblem: the header is missing.
        """
        absolute = _absolute(self.headers.get("Location"), self.url)
        if absolute is None:
            raise malformed(self.host, "the header Location is missing or no URL")
        return absolute

    def links(self, relation: str) -> list[str]:
        """Return the URLs of every ``Link`` header with a relation, in their order; what is no URL is left out."""
        found = []
        for url, parameters in _LINK.findall(self.headers.get("Link") or ""):
            match = _RELATION.search(parameters)
            relations = (match[1] or match[2] or "").lower().split() if match else []
            absolute = _absolute(url, self.url)
            if relation in relations and absolute is not None:
                found.append(absolute)
        return list(dict.fromkeys(found))


class Document:
    """A JSON object of an answer; each method reads one member and raises `AcmeProblem` if it is not as it should."""

    def __init__(self, answer: Answer, content: Any, where: str = "") -> None:
        self._answer = answer
        self._where = where
        if not isinstance(content, Mapping):
            raise malformed(answer.host, f"{where or 'the answer'} is no JSON object")
        self.content: Mapping[str, Any] = content

    def has(self, name: str) -> bool:
        """Tell whether a member is there, and not null."""
        return self.content.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text."""
        found = self.content.get(name)
        if not isinstance(found, str):
            raise self.wrong(name, "missing or no text")
        return found

    def url(self, name: str) -> str:
        """Return a URL."""
        absolute = _absolute(self.content.get(name))
        if absolute is None:
            raise self.wrong(name, "missing or no URL")
        return absolute

    def url_if_any(self, name: str) -> str | None:
        """Return a URL, ``None`` without the member."""
        return self.url(name) if self.has(name) else None

    def urls(self, name: str) -> tuple[str, ...]:
        """Return a list of URLs."""
        found = [_absolute(item) for item in self._items(name)]
        urls = tuple(url for url in found if url is not None)
        if len(urls) != len(found):
            raise self.wrong(name, "no list of URLs")
        return urls

    def documents(self, name: str) -> list[Document]:
        """Return a list of objects."""
        return [Document(self._answer, item, f"an item of {name}") for item in self._items(name)]

    def document(self, name: str) -> Document:
        """Return an object; an empty one without the member."""
        return Document(self._answer, self.content[name] if self.has(name) else {}, name)

    def instant(self, name: str) -> datetime | None:
        """Return a time, ``None`` without the member."""
        if not self.has(name):
            return None
        try:
            return parse_rfc3339(self.text(name), field=name)
        except Invalid:
            raise self.wrong(name, "no time") from None

    def status(self) -> AcmeStatus:
        """Return the status."""
        try:
            return AcmeStatus(self.text("status"))
        except ValueError:
            raise self.wrong("status", "unknown") from None

    def flag(self, name: str) -> bool:
        """Return whether a member is true."""
        return self.content.get(name) is True

    def problem(self, name: str = "error") -> Problem | None:
        """Return the problem document in a member, ``None`` without it."""
        if not self.has(name):
            return None
        found = read_problem(self.content[name])
        return found or Problem(type="malformed", text="the ACME server does not say what went wrong")

    def dns_name(self) -> str:
        """Return the name of a DNS identifier, lower case."""
        found = self.text("value").lower()
        if self.text("type") != "dns" or not 0 < len(found) <= _MAX_NAME or not _VISIBLE.fullmatch(found):
            raise self.wrong("value", "no DNS name")
        return found

    def wrong(self, name: str, how: str) -> AcmeProblem:
        """Return the error about a member."""
        return malformed(self._answer.host, f'{self._where + ": " if self._where else ""}"{name}" is {how}')

    def _items(self, name: str) -> Sequence[Any]:
        found = self.content.get(name)
        if not isinstance(found, list) or len(found) > _MAX_NAMES:
            raise self.wrong(name, f"missing or no list of up to {_MAX_NAMES}")
        return found


@value
class Endpoints:
    """A directory. Source: RFC 8555 section 7.1.1."""

    new_nonce: str
    new_account: str
    new_order: str
    renewal_info: str | None
    facts: AcmeDirectory


def read_directory(answer: Answer) -> Endpoints:
    """Read a directory."""
    document = answer.document()
    meta = document.document("meta")
    renewal_info = document.url_if_any("renewalInfo")
    profiles = meta.document("profiles").content
    return Endpoints(
        new_nonce=document.url("newNonce"),
        new_account=document.url("newAccount"),
        new_order=document.url("newOrder"),
        renewal_info=renewal_info,
        facts=AcmeDirectory(
            profiles=tuple(clean(name, 64) for name in list(profiles)[:_MAX_PROFILES]),
            has_renewal_info=renewal_info is not None,
            needs_external_account=meta.flag("externalAccountRequired"),
        ),
    )


def read_order(answer: Answer, url: str) -> AcmeOrder:
    """Read an order."""
    document = answer.document()
    problem = document.problem()
    return AcmeOrder(
        url=url,
        status=document.status(),
        identifiers=tuple(item.dns_name() for item in document.documents("identifiers")),
        authorizations=document.urls("authorizations"),
        finalize_url=document.url("finalize"),
        certificate_url=document.url_if_any("certificate"),
        expires=document.instant("expires"),
        problem_type=problem.type if problem else None,
        problem=problem.text if problem else None,
        retry_after=answer.retry_after,
    )


@value
class Challenge:
    """A dns-01 challenge with its token."""

    url: str
    status: AcmeStatus
    token: str
    problem: Problem | None


def read_challenge(document: Document) -> Challenge:
    """Read a dns-01 challenge."""
    token = document.text("token")
    if not _TOKEN.fullmatch(token):
        raise document.wrong("token", "no token")
    return Challenge(url=document.url("url"), status=document.status(), token=token, problem=document.problem())


def read_authorization(answer: Answer, url: str) -> tuple[AcmeAuthorization, Challenge | None]:
    """Read an authorization, its value for the TXT record left out, with its dns-01 challenge.

    Challenges of other types are not looked at: what they hold is nobody's business here.
    """
    document = answer.document()
    name = document.document("identifier").dns_name()
    offered = [item for item in document.documents("challenges") if item.content.get("type") == DNS_01]
    challenge = read_challenge(offered[0]) if offered else None
    problem = challenge.problem if challenge else None
    read = AcmeAuthorization(
        url=url,
        domain=name.removeprefix("*."),
        is_wildcard=document.flag("wildcard") or name.startswith("*."),
        status=document.status(),
        challenge_url=challenge.url if challenge else None,
        challenge_status=challenge.status if challenge else None,
        txt_value=None,
        expires=document.instant("expires"),
        problem_type=problem.type if problem else None,
        problem=problem.text if problem else None,
        retry_after=answer.retry_after,
    )
    return read, challenge


def read_chain(answer: Answer) -> AcmeChain:
    """Read a chain of certificates in PEM form."""
    try:
        certificates = load_certificates(answer.body.decode("ascii"), field="certificate")
        return AcmeChain(
            leaf=_pem(certificates[0]),
            intermediates=tuple(_pem(certificate) for certificate in certificates[1:]),
            issuer_names=tuple(_common_name(certificate.issuer) for certificate in certificates),
        )
    except (Invalid, ValueError):
        raise malformed(answer.host, "no certificates in PEM form") from None


def read_window(answer: Answer, check_again: timedelta) -> RenewalWindow:
    """Read when a certificate should be renewed."""
    document = answer.document()
    window = document.document("suggestedWindow")
    start, end = window.instant("start"), window.instant("end")
    if start is None or end is None or end <= start:
        raise document.wrong("suggestedWindow", "no window of time")
    return RenewalWindow(
        start=start, end=end, explanation_url=document.url_if_any("explanationURL"), check_again=check_again
    )


def _absolute(text: object, base: str = "") -> str | None:
    """Return an absolute URL of http or https; where it may lead is for the guard to say.

    Args:
        text: of the server.
        base: what a relative one, as headers may have it, goes on from.
    """
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_URL or not _VISIBLE.fullmatch(text):
        return None
    try:
        url = urljoin(base, text)
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.hostname else None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return clean(str(found[0].value) if found else name.rfc4514_string(), _MAX_NAME)
