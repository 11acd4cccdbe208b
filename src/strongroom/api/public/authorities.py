"""What relying parties fetch: CA certificates, chains, revocation lists, and OCSP answers.

Nobody needs a token for them, over HTTPS and over the plain address of the settings alike: a relying party must not
need a trusted certificate to learn which certificates to trust. Each file has two addresses: the long one, which stands
in certificates, and a short one to type. Source: api-v2 section 4.6; domain section 5.4; RFC 6960 appendix A.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from pydantic import BaseModel, Field

from strongroom.api.operations import Call, Operation, Reply, Work
from strongroom.domain.authorities.addresses import CA_FILES, OCSP, SHORT_CA_FILES
from strongroom.domain.authorities.ocsp import OcspAnswer
from strongroom.pki.armor import encode_pem
from strongroom.pki.ocsp import (
    ANSWER_MEDIA_TYPE,
    REQUEST_MEDIA_TYPE,
    MalformedQuestion,
    Question,
    read_request,
    read_request_path,
)

TAG: Final = "Certificate authorities"
_CERTIFICATE: Final = "application/pkix-cert"
_CRL: Final = "application/pkix-crl"
_PEM: Final = "application/x-pem-file"
_CRL_LABEL: Final = "X509 CRL"
_CERTIFICATE_LABEL: Final = "CERTIFICATE"
_CERTIFICATE_KEPT: Final = timedelta(hours=1)
_CRL_KEPT: Final = timedelta(minutes=5)
"""A list is valid for days, but one that was fetched after a revocation shall show it."""
_MOST_QUESTION_BYTES: Final = 64 * 1024
"""More than is ever understood; anybody may send one, and it is kept in memory until it is all there."""


def _cached(call: Call, life: timedelta, until: datetime) -> dict[str, str]:
    now = call.services.clock.now()
    seconds = max(0, int(min(life, until - now).total_seconds()))
    return {
        "Cache-Control": f"public, max-age={seconds}",
        "Expires": format_datetime(now + timedelta(seconds=seconds), usegmt=True),
    }


class AuthorityFileQuery(BaseModel, defer_build=True):
    """Parameters of the files of an authority."""

    key: str | None = Field(default=None, description="The id of one of its keys; certificates name it.")


def _key(call: Call) -> str | None:
    return call.parse_query(AuthorityFileQuery).key


def _crl_der(call: Call) -> Reply:
    crl = call.services.authorities.publishing.crl(call.path["name"], _key(call))
    return Reply(body=crl.der, content_type=_CRL, headers=_cached(call, _CRL_KEPT, crl.next_update))


def _crl_pem(call: Call) -> Reply:
    key = _key(call)
    publishing = call.services.authorities.publishing
    crls = publishing.crls(call.path["name"]) if key is None else [publishing.crl(call.path["name"], key)]
    return Reply(
        body=_lists_text(tuple(crl.der for crl in crls)),
        content_type=_PEM,
        headers=_cached(call, _CRL_KEPT, min(crl.next_update for crl in crls)),
    )


@lru_cache(maxsize=16)
def _lists_text(lists: tuple[bytes, ...]) -> bytes:
    # A list may have megabytes, and slow callers are many: all of them are sent the same text.
    return "".join(encode_pem(der, _CRL_LABEL) for der in lists).encode()


def _certificate_der(call: Call) -> Reply:
    found = call.services.authorities.publishing.certificate(call.path["name"], _key(call))
    headers = _cached(call, _CERTIFICATE_KEPT, found.not_after)
    return Reply(body=found.der, content_type=_CERTIFICATE, headers=headers)


def _certificate_pem(call: Call) -> Reply:
    found = call.services.authorities.publishing.certificate(call.path["name"], _key(call))
    headers = _cached(call, _CERTIFICATE_KEPT, found.not_after)
    return Reply(body=encode_pem(found.der, _CERTIFICATE_LABEL).encode(), content_type=_PEM, headers=headers)


def _chain(call: Call) -> Reply:
    found = call.services.authorities.publishing.certificate(call.path["name"], _key(call))
    headers = _cached(call, _CERTIFICATE_KEPT, found.not_after)
    return Reply(body=found.pem_chain.encode(), content_type=_PEM, headers=headers)


def _ocsp_get(call: Call) -> Reply:
    try:
        question = read_request_path(call.path["request"])
    except MalformedQuestion:
        return _ocsp_reply(call, call.services.authorities.ocsp.refuse())
    return _answer(call, question)


def _ocsp_post(call: Call) -> Reply:
    try:
        question = read_request(call.raw_body)
    except MalformedQuestion:
        return _ocsp_reply(call, call.services.authorities.ocsp.refuse())
    return _answer(call, question)


def _answer(call: Call, question: Question) -> Reply:
    return _ocsp_reply(call, call.services.authorities.ocsp.answer(call.path["name"], question))


def _ocsp_reply(call: Call, answer: OcspAnswer) -> Reply:
    # An answer may be kept for as long as a list: a revocation after it must not stay unseen for half a day.
    headers = _cached(call, _CRL_KEPT, answer.next_update) if answer.next_update is not None else {}
    return Reply(body=answer.der, content_type=ANSWER_MEDIA_TYPE, headers=headers)


def _file(name: str, path: str, handler: object, summary: str, content_type: str) -> Operation:
    return Operation(
        name=name,
        method="GET",
        path=f"{CA_FILES}/{{name}}{path}",
        action="public",
        handler=handler,  # type: ignore[arg-type]
        work=Work.PUBLISHED,
        summary=summary,
        tag=TAG,
        query=AuthorityFileQuery,
        response=str if content_type == _PEM else bytes,
        response_content_type=content_type,
        audit=False,
    )


def _short(file: Operation) -> Operation:
    return replace(
        file,
        name=f"{file.name}_by_short_path",
        path=file.path.replace(CA_FILES, SHORT_CA_FILES),
        summary=f"{file.summary}, by its short address",
        extension=True,
    )


_FILES: Final = (
    _file("get_crl", "/crl", _crl_der, "Fetch a revocation list", _CRL),
    _file("get_crl_pem", "/crl/pem", _crl_pem, "Fetch the revocation lists of all keys as PEM", _PEM),
    _file("get_ca_certificate", "/ca", _certificate_der, "Fetch a CA certificate", _CERTIFICATE),
    _file("get_ca_certificate_pem", "/ca/pem", _certificate_pem, "Fetch a CA certificate as PEM", _PEM),
    _file("get_ca_chain", "/ca_chain", _chain, "Fetch a CA certificate and those above it as PEM", _PEM),
)

OPERATIONS: Final = (
    *_FILES,
    *(_short(file) for file in _FILES),
    Operation(
        name="ask_ocsp",
        method="POST",
        path=f"{OCSP}/{{name}}",
        action="public",
        handler=_ocsp_post,
        work=Work.PUBLISHED,
        summary="Ask whether a certificate is revoked",
        tag=TAG,
        request=bytes,
        media_types=(REQUEST_MEDIA_TYPE,),
        most_bytes=_MOST_QUESTION_BYTES,
        response=bytes,
        response_content_type=ANSWER_MEDIA_TYPE,
        audit=False,
        extension=True,
    ),
    Operation(
        name="ask_ocsp_by_path",
        method="GET",
        path=f"{OCSP}/{{name}}/{{request}}",
        action="public",
        handler=_ocsp_get,
        work=Work.PUBLISHED,
        summary="Ask whether a certificate is revoked, with the question in the path",
        tag=TAG,
        response=bytes,
        response_content_type=ANSWER_MEDIA_TYPE,
        audit=False,
        extension=True,
    ),
)
