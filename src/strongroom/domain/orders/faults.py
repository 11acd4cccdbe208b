"""Why an order does not get on, in words that the secret shows.

Source: contract domain section 4.6 (codes of the reference); design, section 8 (our own words).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final

from strongroom.domain.jobs.model import JobError
from strongroom.domain.orders.acme import AcmeProblem, UnusableAnswer
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Upstream
from strongroom.kernel.value import value


class Side(StrEnum):
    """Whose fault it is; a fallback CA helps against one of them."""

    CA = "ca"
    DNS = "dns"
    ORDER = "order"


class FaultCode(StrEnum):
    """``issuance_info.error_code``; clients may rely on them."""

    CA_UNREACHABLE = "ca_unreachable"
    CA_RATE_LIMITED = "ca_rate_limited"
    CA_REFUSED = "ca_refused"
    CAA_FORBIDS = "caa_forbids"
    NAME_REJECTED = "name_rejected"
    CA_ANSWER_UNUSABLE = "ca_answer_unusable"
    CA_NOT_CONFIGURED = "ca_configuration_not_found"
    DNS_NOT_CONFIGURED = "dns_configuration_not_found"
    DNS_UNREACHABLE = "dns_unreachable"
    DNS_AUTHORIZATION = "dns_authorization_failed"
    DNS_NO_ZONE = "dns_zone_not_found"
    DNS_ERROR = "dns_provider_error"
    DNS_NOT_PROPAGATED = "dns_record_not_seen"
    DNS_WRONG_VALUE = "dns_record_wrong_value"
    DNS_VALIDATION = "dns_validation_failed"
    ADDRESS_REFUSED = "destination_not_allowed"
    CHALLENGE_EXPIRED = "challenge_expired"
    CANCELLED = "order_cancelled"
    KEY_NOT_MADE = "key_not_made"
    SERVER_ERROR = "server_error"


_REFERENCES: Final = {
    FaultCode.CA_NOT_CONFIGURED: "07006",
    FaultCode.DNS_NOT_CONFIGURED: "07009",
    FaultCode.DNS_UNREACHABLE: "07047",
    FaultCode.DNS_AUTHORIZATION: "07048",
    FaultCode.DNS_ERROR: "07049",
    FaultCode.DNS_NO_ZONE: "07052",
}
_DNS_CODES: Final = {
    DnsRefusal.AUTHORIZATION: FaultCode.DNS_AUTHORIZATION,
    DnsRefusal.NO_ZONE: FaultCode.DNS_NO_ZONE,
    DnsRefusal.ERROR: FaultCode.DNS_ERROR,
}
_PROBLEM_CODES: Final = {
    "rateLimited": FaultCode.CA_RATE_LIMITED,
    "caa": FaultCode.CAA_FORBIDS,
    "rejectedIdentifier": FaultCode.NAME_REJECTED,
    "unsupportedIdentifier": FaultCode.NAME_REJECTED,
}
_VALIDATION: Final = frozenset({"dns", "unauthorized", "incorrectResponse", "connection", "tls"})
"""Problems of challenges that another try may not have: the CA did not find what it looked for."""


class Fault(StrongroomError):
    """Something that keeps an order from getting on.

    Attributes:
        fault: what it is.
        side: whose it is.
        is_final: whether trying again would not help.
        names: that it is about, if it is not about all.
        is_foreseen: whether nobody was asked, because the answer is known.
    """

    def __init__(
        self,
        fault: FaultCode,
        detail: str,
        *,
        side: Side,
        is_final: bool = True,
        retry_after: timedelta | None = None,
        names: Sequence[str] = (),
        is_foreseen: bool = False,
    ) -> None:
        sentence = detail[:1].upper() + detail[1:]
        super().__init__(
            ErrorCode.UPSTREAM_REFUSED, sentence, retry_after=retry_after, reference_code=_REFERENCES.get(fault)
        )
        self.fault = fault
        self.side = side
        self.is_final = is_final
        self.names = tuple(names)
        self.is_foreseen = is_foreseen


@value
class Reason:
    """What the secret shows of a failed order."""

    code: str
    message: str
    reference_code: str | None = None


def reason_of(fault: Fault) -> Reason:
    """Return what may be shown; a fault holds nothing secret."""
    return Reason(code=fault.fault.value, message=fault.detail, reference_code=fault.reference_code)


def job_error(fault: Fault) -> JobError:
    """Return what the job of an order shows of a fault: the same words as the secret."""
    reason = reason_of(fault)
    return JobError(code=reason.code, message=reason.message, reference_code=reason.reference_code)


def fault_of(error: StrongroomError, *, side: Side, peer: str) -> Fault:
    """Return what an error of a port means for an order.

    Args:
        error: as raised.
        side: which port was asked.
        peer: who that is, for the message: ``the CA le-prod``.
    """
    if isinstance(error, Fault):
        return error
    if isinstance(error, UnusableAnswer):
        return Fault(FaultCode.CA_ANSWER_UNUSABLE, f"{peer}: {error.detail}", side=Side.CA, is_final=False)
    if isinstance(error, AcmeProblem):
        return problem_fault(
            error.problem_type, error.detail, peer=peer, retry_after=error.retry_after, names=error.identifiers
        )
    if isinstance(error, DnsProblem):
        code = _DNS_CODES[error.refusal]
        message = f"{peer}: {error.detail}"
        return Fault(code, message, side=Side.DNS, is_final=error.is_final, retry_after=error.retry_after)
    if isinstance(error, Invalid):
        return Fault(FaultCode.ADDRESS_REFUSED, f"{peer}: {error.detail}", side=side)
    code = FaultCode.CA_UNREACHABLE if side is Side.CA else FaultCode.DNS_UNREACHABLE
    if isinstance(error, Upstream):
        code = FaultCode.CA_REFUSED if side is Side.CA else FaultCode.DNS_ERROR
    return Fault(code, f"{peer}: {error.detail}", side=side, is_final=False, retry_after=error.retry_after)


def problem_fault(
    problem_type: str,
    detail: str,
    *,
    peer: str,
    retry_after: timedelta | None = None,
    names: Sequence[str] = (),
) -> Fault:
    """Return what a problem of a CA means. Source: RFC 8555 section 6.7."""
    code = _PROBLEM_CODES.get(problem_type, FaultCode.CA_REFUSED)
    is_final = AcmeProblem(detail, problem_type=problem_type).is_final
    message = f"{peer} refused ({problem_type}): {detail}"
    return Fault(code, message, side=Side.CA, is_final=is_final, retry_after=retry_after, names=names)


def validation_fault(domain: str, problem_type: str | None, detail: str | None, *, peer: str) -> Fault:
    """Return what the failed proof of a name means; another order may have better luck with some."""
    kind, said = problem_type or "unknown", detail or "it gave no reason"
    if kind not in _VALIDATION:
        return problem_fault(kind, f"{domain}: {said}", peer=peer)
    message = f"{peer} could not validate {domain} ({kind}): {said}"
    return Fault(FaultCode.DNS_VALIDATION, message, side=Side.ORDER, is_final=False, names=[domain])
