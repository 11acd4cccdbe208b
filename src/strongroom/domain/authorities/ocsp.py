"""Answers whether a certificate is revoked, at any moment. Source: RFC 6960, RFC 5019 (answers made ahead).

Whether a certificate is revoked is read from the store at every question, so an answer that was signed before a
revocation is never given after it. What is kept is the signature.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from strongroom.domain.authorities.context import AuthorityContext, certificate_of, load_certificate
from strongroom.domain.authorities.model import Authority, AuthorityId, Issued, IssuedKind, OcspSigner
from strongroom.domain.configurations.model import ConfigKind
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import NotFound, Unavailable
from strongroom.kernel.value import value
from strongroom.pki.draft import new_serial, serial_hex, sign_draft
from strongroom.pki.encoding import certificate_der, is_named_by
from strongroom.pki.keys import KeySpec
from strongroom.pki.ocsp import (
    MALFORMED_REQUEST,
    TRY_LATER,
    UNAUTHORIZED,
    IssuerHash,
    Question,
    Responder,
    Revoked,
    Status,
    build_answer,
    draft_ocsp_signer,
    issuer_hashes,
)

ANSWER_LIFE: Final = timedelta(hours=12)
SIGNER_LIFE: Final = timedelta(days=7)
_SIGNER_KEY: Final = KeySpec(kind="ec", bits=256)
_KEPT: Final = 20_000

_AnswerKey = tuple[str, bytes, datetime | None]


class OcspOutcome(StrEnum):
    """What questions were answered with."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    UNAUTHORIZED = "unauthorized"
    MALFORMED = "malformed"
    TRY_LATER = "try_later"


@value
class OcspAnswer:
    """A signed answer.

    Attributes:
        next_update: until when clients may keep it; ``None`` if they may not.
    """

    der: bytes
    next_update: datetime | None


_NOT_OURS: Final = OcspAnswer(der=UNAUTHORIZED, next_update=None)
_NOT_NOW: Final = OcspAnswer(der=TRY_LATER, next_update=None)
_NOT_READABLE: Final = OcspAnswer(der=MALFORMED_REQUEST, next_update=None)


class OcspResponder:
    """Answers for every CA of the instance, each with a signer that the CA certified."""

    def __init__(self, context: AuthorityContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._renewing: dict[AuthorityId, threading.Lock] = defaultdict(threading.Lock)
        self._answers: dict[_AnswerKey, OcspAnswer] = {}
        self._counts = dict.fromkeys(OcspOutcome, 0)
        self._counts_lock = threading.Lock()

    def counts(self) -> Mapping[OcspOutcome, int]:
        """Return how many answers of each kind this process gave."""
        with self._counts_lock:
            return dict(self._counts)

    def answer(self, name: str, question: Question) -> OcspAnswer:
        """Answer a question that was put to a CA.

        One about somebody else's certificate is not answered, nor one that comes when the CA's own has ended. While a
        signer is needed and the CA's key is in a token that does not answer, the answer is to try again later: clients
        understand that only in the protocol's own words.
        """
        try:
            outcome, answer = self._find_answer(name, question)
        except NotFound:
            # The CA was deleted while its signer was made.
            outcome, answer = OcspOutcome.UNAUTHORIZED, _NOT_OURS
        except Unavailable:
            outcome, answer = OcspOutcome.TRY_LATER, _NOT_NOW
        self._count(outcome)
        return answer

    def refuse(self) -> OcspAnswer:
        """Answer a question that cannot be read."""
        self._count(OcspOutcome.MALFORMED)
        return _NOT_READABLE

    def _count(self, outcome: OcspOutcome) -> None:
        with self._counts_lock:
            self._counts[outcome] += 1

    def _find_answer(self, name: str, question: Question) -> tuple[OcspOutcome, OcspAnswer]:
        def look_up(unit: ReadUnit) -> tuple[Authority, Issued | None] | None:
            configuration = unit.configurations.find(ConfigKind.PRIVATE_CA, name)
            if configuration is None:
                return None
            for authority in unit.authorities.generations(configuration.id):
                if authority.certificate is not None and question.issuer in _hashes(authority.certificate):
                    return authority, unit.authorities.find_issued(configuration.id, serial_hex(question.serial))
            return None

        found = self._context.storage.look(look_up)
        if found is None:
            return OcspOutcome.UNAUTHORIZED, _NOT_OURS
        authority, issued = found
        if issued is not None and issued.authority_id != authority.id:
            issued = None
        revoked_at = issued.revoked_at if issued is not None else None
        now = self._context.now().replace(microsecond=0)
        certificate = certificate_of(authority)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            return OcspOutcome.UNAUTHORIZED, _NOT_OURS
        outcome = _outcome(issued)
        key = (authority.id, question.certificate_id, revoked_at)
        known = self._answers.get(key) if issued is not None and question.nonce is None else None
        if known is not None and known.next_update is not None and known.next_update - now > ANSWER_LIFE / 2:
            return outcome, known
        signer = self._signer(authority, now)
        next_update = min(now + ANSWER_LIFE, signer.not_after)
        der = build_answer(
            question,
            _status(issued),
            responder=Responder(
                certificate=load_certificate(signer.certificate), key=self._context.keys.of_signer(signer)
            ),
            produced_at=now,
            this_update=now,
            next_update=next_update,
        )
        answer = OcspAnswer(der=der, next_update=None if issued is None or question.nonce else next_update)
        if answer.next_update is not None:
            self._keep(key, answer)
        return outcome, answer

    def _keep(self, key: _AnswerKey, answer: OcspAnswer) -> None:
        with self._lock:
            self._answers[key] = answer
            if len(self._answers) > _KEPT:
                del self._answers[next(iter(self._answers))]

    def _signer(self, authority: Authority, now: datetime) -> OcspSigner:
        known = self._context.storage.look(lambda unit: unit.authorities.find_ocsp_signer(authority.id))
        if known is not None and _is_good(known, authority, now):
            return known
        with self._renewing[authority.id]:
            known = self._context.storage.look(lambda unit: unit.authorities.find_ocsp_signer(authority.id))
            if known is not None and _is_good(known, authority, now):
                return known
            try:
                return self._renew(authority, now)
            except Unavailable:
                # The CA's key is in a token that is away; a signer is good to the end of its life.
                if known is None or known.not_after <= now:
                    raise
                return known

    def _renew(self, authority: Authority, now: datetime) -> OcspSigner:
        context = self._context
        made = context.keys.make_for_ocsp(authority.id, _SIGNER_KEY)
        assert made.sealed is not None  # noqa: S101  (never in a token)
        draft = draft_ocsp_signer(certificate_of(authority), made.key.public_key(), now=now, life=SIGNER_LIFE)
        serial = new_serial()
        certificate = sign_draft(draft, context.issuer(authority), serial)
        signer = OcspSigner(
            authority_id=authority.id,
            serial=serial_hex(serial),
            certificate=certificate_der(certificate),
            sealed_key=made.sealed,
            not_before=draft.not_before,
            not_after=draft.not_after,
        )

        def commit(unit: Unit) -> None:
            unit.authorities.add_issued(
                Issued(
                    configuration_id=authority.configuration_id,
                    authority_id=authority.id,
                    serial=signer.serial,
                    kind=IssuedKind.OCSP_SIGNER,
                    not_after=signer.not_after,
                    issued_at=now,
                )
            )
            unit.authorities.put_ocsp_signer(signer)

        context.storage.write(commit)
        return signer


def _status(issued: Issued | None) -> Status:
    if issued is None:
        return "unknown"
    return "good" if issued.revoked_at is None else Revoked(at=issued.revoked_at)


def _outcome(issued: Issued | None) -> OcspOutcome:
    if issued is None:
        return OcspOutcome.UNKNOWN
    return OcspOutcome.GOOD if issued.revoked_at is None else OcspOutcome.REVOKED


def _is_good(signer: OcspSigner, authority: Authority, now: datetime) -> bool:
    if not is_named_by(certificate_of(authority), load_certificate(signer.certificate)):
        # The authority was signed again under another name.
        return False
    if authority.not_after is not None and signer.not_after >= authority.not_after:
        # None lives longer than its authority: the last one serves to the end.
        return signer.not_after > now
    return signer.not_after - now > min(ANSWER_LIFE, (signer.not_after - signer.not_before) / 4)


@lru_cache(maxsize=256)
def _hashes(certificate: bytes) -> frozenset[IssuerHash]:
    return issuer_hashes(load_certificate(certificate))
