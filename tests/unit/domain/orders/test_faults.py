"""What errors of CAs and DNS providers mean for an order: whose they are, and whether another try helps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from strongroom.domain.orders.acme import AcmeProblem, UnusableAnswer
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal
from strongroom.domain.orders.faults import (
    Fault,
    FaultCode,
    Side,
    fault_of,
    job_error,
    problem_fault,
    reason_of,
    validation_fault,
)
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Unavailable, Upstream

WAIT = timedelta(minutes=7)
CA = "the CA le"
DNS = "the DNS configuration zones"


@pytest.mark.parametrize(
    ("error", "side", "code", "is_final"),
    [
        (Unavailable(ErrorCode.UNAVAILABLE, "no answer", retry_after=WAIT), Side.CA, FaultCode.CA_UNREACHABLE, False),
        (Unavailable(ErrorCode.UNAVAILABLE, "no answer", retry_after=WAIT), Side.DNS, FaultCode.DNS_UNREACHABLE, False),
        (Upstream(ErrorCode.UPSTREAM_REFUSED, "no", retry_after=WAIT), Side.CA, FaultCode.CA_REFUSED, False),
        (Upstream(ErrorCode.UPSTREAM_REFUSED, "no", retry_after=WAIT), Side.DNS, FaultCode.DNS_ERROR, False),
        (
            AcmeProblem("slow down", problem_type="rateLimited", retry_after=WAIT),
            Side.CA,
            FaultCode.CA_RATE_LIMITED,
            False,
        ),
        (
            DnsProblem("oops", refusal=DnsRefusal.ERROR, retry_after=WAIT),
            Side.DNS,
            FaultCode.DNS_ERROR,
            False,
        ),
        (Invalid(ErrorCode.DESTINATION_NOT_ALLOWED, "private"), Side.CA, FaultCode.ADDRESS_REFUSED, True),
        (Invalid(ErrorCode.DESTINATION_NOT_ALLOWED, "private"), Side.DNS, FaultCode.ADDRESS_REFUSED, True),
        (UnusableAnswer("html", problem_type="malformed"), Side.CA, FaultCode.CA_ANSWER_UNUSABLE, False),
        (AcmeProblem("no", problem_type="badCSR"), Side.CA, FaultCode.CA_REFUSED, True),
        (AcmeProblem("no", problem_type="malformed"), Side.CA, FaultCode.CA_REFUSED, False),
        (DnsProblem("no", refusal=DnsRefusal.AUTHORIZATION), Side.DNS, FaultCode.DNS_AUTHORIZATION, True),
        (DnsProblem("no", refusal=DnsRefusal.NO_ZONE), Side.DNS, FaultCode.DNS_NO_ZONE, True),
    ],
)
def test_error_of_a_port_becomes_a_fault(error: StrongroomError, side: Side, code: FaultCode, is_final: bool) -> None:
    peer = CA if side is Side.CA else DNS
    fault = fault_of(error, side=side, peer=peer)
    assert (fault.fault, fault.side, fault.is_final) == (code, side, is_final)
    assert fault.retry_after == error.retry_after
    assert fault.detail.startswith(f"T{peer[1:]}")
    assert fault.detail.endswith(error.detail)


def test_fault_stays_what_it_is() -> None:
    fault = Fault(FaultCode.KEY_NOT_MADE, "no key", side=Side.ORDER)
    assert fault_of(fault, side=Side.CA, peer=CA) is fault


@pytest.mark.parametrize(
    ("problem_type", "code", "is_final"),
    [
        ("rateLimited", FaultCode.CA_RATE_LIMITED, False),
        ("caa", FaultCode.CAA_FORBIDS, True),
        ("rejectedIdentifier", FaultCode.NAME_REJECTED, True),
        ("unsupportedIdentifier", FaultCode.NAME_REJECTED, True),
        ("serverInternal", FaultCode.CA_REFUSED, False),
        ("unheardOf", FaultCode.CA_REFUSED, False),
        ("accountDoesNotExist", FaultCode.CA_REFUSED, True),
    ],
)
def test_problem_of_a_ca_keeps_its_type_and_words(problem_type: str, code: FaultCode, is_final: bool) -> None:
    fault = problem_fault(problem_type, "because", peer=CA, retry_after=WAIT, names=["a.example.com"])
    assert (fault.fault, fault.side, fault.is_final) == (code, Side.CA, is_final)
    assert fault.detail == f"The CA le refused ({problem_type}): because"
    assert (fault.retry_after, fault.names) == (WAIT, ("a.example.com",))


@pytest.mark.parametrize("problem_type", ["dns", "unauthorized", "incorrectResponse", "connection", "tls"])
def test_proof_that_was_not_found_may_be_found_by_another_order(problem_type: str) -> None:
    fault = validation_fault("a.example.com", problem_type, "no TXT record", peer=CA)
    assert (fault.fault, fault.side, fault.is_final) == (FaultCode.DNS_VALIDATION, Side.ORDER, False)
    assert fault.detail == f"The CA le could not validate a.example.com ({problem_type}): no TXT record"
    assert fault.names == ("a.example.com",)


@pytest.mark.parametrize(
    ("problem_type", "detail", "code", "message"),
    [
        ("caa", "forbidden", FaultCode.CAA_FORBIDS, "The CA le refused (caa): a.example.com: forbidden"),
        (None, None, FaultCode.CA_REFUSED, "The CA le refused (unknown): a.example.com: it gave no reason"),
    ],
)
def test_other_ends_of_a_proof_are_the_cas_own(
    problem_type: str | None, detail: str | None, code: FaultCode, message: str
) -> None:
    fault = validation_fault("a.example.com", problem_type, detail, peer=CA)
    assert (fault.fault, fault.side, fault.detail) == (code, Side.CA, message)


def test_secret_and_job_show_the_same_words() -> None:
    fault = fault_of(DnsProblem("no", refusal=DnsRefusal.AUTHORIZATION), side=Side.DNS, peer=DNS)
    reason, error = reason_of(fault), job_error(fault)
    assert reason.code == error.code == "dns_authorization_failed"
    assert reason.message == error.message == "The DNS configuration zones: no"
    assert reason.reference_code == error.reference_code == "07048"
