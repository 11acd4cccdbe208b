"""What all providers over HTTP make of the answers of their vendors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from strongroom.dns.vendor import Vendor
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, TxtRecord
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from tests.contract.dns.vendor_backends import (
    AkamaiBackend,
    ClassicBackend,
    CloudflareBackend,
    CloudInternetServicesBackend,
    PowerDnsBackend,
    Route53Backend,
    VendorBackend,
)
from tests.factories.dns import make_context
from tests.peers.dns_vendors import Answered, Vendors, running_vendors

_BACKENDS = [
    CloudInternetServicesBackend,
    ClassicBackend,
    CloudflareBackend,
    Route53Backend,
    PowerDnsBackend,
    AkamaiBackend,
]
_RECORD = TxtRecord(name="_acme-challenge.www.example.com", value="Zm9yLXRoZS1jaGFsbGVuZ2U")


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with running_vendors() as running:
        yield running


@pytest.fixture(params=_BACKENDS, ids=lambda backend: backend.__name__)
def backend(request: pytest.FixtureRequest, vendors: Vendors) -> Iterator[VendorBackend]:
    made: VendorBackend = request.param(vendors)
    yield made
    made.context().http.close()


def test_too_many_requests_are_tried_again_when_the_vendor_says(backend: VendorBackend) -> None:
    provider = backend.open()
    backend.vendors.answers = [Answered(429, {}, {"Retry-After": "17"})]

    with pytest.raises(Unavailable, match="429") as problem:
        provider.present(_RECORD)

    assert problem.value.retry_after == timedelta(seconds=17)
    provider.present(_RECORD)
    assert backend.values(_RECORD.name) == [_RECORD.value]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_failure_of_the_vendor_is_worth_another_try(backend: VendorBackend, status: int) -> None:
    backend.vendors.answers = [Answered(status, "<html>Down</html>")]

    with pytest.raises(Unavailable, match=str(status)):
        backend.open().present(_RECORD)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credential_is_told_apart(backend: VendorBackend, status: int) -> None:
    provider = backend.open()
    provider.present(_RECORD)
    backend.vendors.answers = [Answered(status, {})] * 3

    with pytest.raises(DnsProblem) as problem:
        provider.cleanup(_RECORD, None)

    assert problem.value.refusal is DnsRefusal.AUTHORIZATION
    assert problem.value.step == "cleanup"
    assert problem.value.is_final


def test_redirects_are_not_followed(backend: VendorBackend) -> None:
    backend.vendors.answers = [Answered(302, None, {"Location": f"{backend.vendors.url}/elsewhere"})]

    with pytest.raises(DnsProblem, match="redirect") as problem:
        backend.open().zones()

    assert problem.value.refusal is DnsRefusal.ERROR
    assert len(backend.vendors.seen) == 1


@pytest.mark.parametrize("body", ["<html>Welcome to the hotel</html>", "", "[1, 2", "7"])
def test_answer_of_something_on_the_way_is_an_error_and_changes_nothing(backend: VendorBackend, body: str) -> None:
    provider = backend.open()
    provider.zones()
    backend.vendors.answers = [Answered(200, body)] * 8

    with pytest.raises(DnsProblem):
        provider.present(_RECORD)

    assert backend.vendors.records == []


def test_words_of_the_vendor_come_without_our_secrets_and_in_one_line(backend: VendorBackend) -> None:
    settings = backend.settings()
    key = next(str(settings[name]) for name in backend.kind.secret_members if name in settings)
    words = f"the key {key}\r\n\x1b[31mis bad {'x' * 5000}"
    shapes: dict[str, Any] = {"error": words, "detail": words, "errors": [{"code": 1, "message": words}]}
    is_cloud = isinstance(backend, CloudInternetServicesBackend)
    body: Any = {**shapes, "errorMessage": words} if not isinstance(backend, Route53Backend) else None
    text = words.replace("\x1b", " ")
    xml = f"<ErrorResponse><Error><Code>Odd</Code><Message>{text}</Message></Error></ErrorResponse>"
    backend.vendors.answers = [Answered(400, body if body is not None else xml)]

    with pytest.raises(DnsProblem) as problem:
        backend.open().zones()

    assert key not in problem.value.detail
    assert "the key ***" in problem.value.detail
    assert problem.value.detail.isprintable()
    assert len(problem.value.detail) < 500
    assert problem.value.refusal is (DnsRefusal.AUTHORIZATION if is_cloud else DnsRefusal.ERROR)


def test_zone_on_a_later_page_is_found(backend: VendorBackend) -> None:
    backend.vendors.more_zones(230)

    provider = backend.open()
    provider.present(_RECORD)

    assert backend.values(_RECORD.name) == [_RECORD.value]
    assert len(provider.zones()) == 233


def test_longest_zone_takes_the_record(backend: VendorBackend) -> None:
    record = TxtRecord(name="_acme-challenge.www.dev.example.com", value="one")

    backend.open().present(record)

    assert [backend.vendors.zones[found.zone] for found in backend.vendors.records] == ["dev.example.com"]


def test_name_that_only_ends_like_a_zone_is_not_in_it(backend: VendorBackend) -> None:
    with pytest.raises(DnsProblem) as problem:
        backend.open().present(TxtRecord(name="_acme-challenge.anotherexample.com", value="one"))

    assert problem.value.refusal is DnsRefusal.NO_ZONE


def test_zone_that_is_made_later_is_found(backend: VendorBackend) -> None:
    provider = backend.open()
    provider.present(_RECORD)
    backend.vendors.zones["900"] = "new.example.net"

    provider.present(TxtRecord(name="_acme-challenge.new.example.net", value="one"))

    assert backend.values("_acme-challenge.new.example.net") == ["one"]


def test_zone_that_was_made_anew_is_found_at_the_second_try(backend: VendorBackend) -> None:
    provider = backend.open()
    provider.present(_RECORD)
    backend.vendors.records.clear()
    backend.vendors.zones = {"901": "example.com"}

    try:
        provider.present(_RECORD)
    except DnsProblem as problem:
        assert problem.refusal is DnsRefusal.NO_ZONE  # noqa: PT017  (vendors that know zones by name do not notice)
        provider.present(_RECORD)

    assert [record.zone for record in backend.vendors.records] == ["901"]


def test_records_of_others_stay_as_they_are(backend: VendorBackend) -> None:
    backend.vendors.add("501", _RECORD.name, '"somebody else"', ttl=777)
    backend.vendors.add("501", "example.com", '"v=spf1 -all"', ttl=3600)
    provider = backend.open()

    handle = provider.present(_RECORD)
    provider.cleanup(_RECORD, handle)

    left = {(record.name, record.text, record.ttl) for record in backend.vendors.records}
    assert left == {(_RECORD.name, '"somebody else"', 777), ("example.com", '"v=spf1 -all"', 3600)}


def test_record_is_written_with_the_time_to_live_of_the_contract(backend: VendorBackend) -> None:
    backend.open().present(_RECORD)

    assert [record.ttl for record in backend.vendors.records] == [120]


def test_address_that_users_name_must_be_public() -> None:
    with running_vendors() as vendors:
        backend = PowerDnsBackend(vendors)
        provider = backend.open()
        context = make_context(allow_private=False)
        guarded = backend.kind.build({**backend.settings(), "powerdns_server_id": "localhost"}, context)

        with pytest.raises(Invalid) as refused:
            guarded.zones()

        assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
        assert not vendors.seen
        assert provider.zones()
        context.http.close()
        backend.context().http.close()


@pytest.mark.parametrize("kind", [CloudflareBackend, ClassicBackend, Route53Backend, AkamaiBackend])
def test_list_without_an_end_is_refused(kind: type[VendorBackend], vendors: Vendors) -> None:
    pages: dict[type[VendorBackend], Any] = {
        CloudflareBackend: {"result": [{"id": "1", "name": "a.example"}], "result_info": {"total_count": 10**9}},
        ClassicBackend: [{"id": 1, "name": "a.example"}] * 100,
        AkamaiBackend: {"zones": [{"zone": "a.example"}], "metadata": {"totalElements": 10**9}},
        Route53Backend: '<R xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><IsTruncated>true</IsTruncated>'
        "<NextMarker>Z1</NextMarker></R>",
    }
    vendors.answers = [Answered(200, pages[kind])] * 250
    backend = kind(vendors)

    with pytest.raises(DnsProblem, match="200 pages"):
        backend.open().zones()

    backend.context().http.close()


def test_xml_with_entities_is_not_read(vendors: Vendors) -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><r>&b;</r>'
    vendors.answers = [Answered(200, bomb)]
    backend = Route53Backend(vendors)

    with pytest.raises(DnsProblem, match="not its XML"):
        backend.open().zones()

    backend.context().http.close()


@pytest.mark.parametrize("code", ["Throttling", "RequestLimitExceeded"])
def test_route53_limits_its_rate_with_status_400(vendors: Vendors, code: str) -> None:
    error = f"<ErrorResponse><Error><Code>{code}</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
    vendors.answers = [Answered(400, error)]
    backend = Route53Backend(vendors)

    with pytest.raises(Unavailable, match="Rate exceeded"):
        backend.open().present(_RECORD)

    backend.context().http.close()


def test_route53_takes_the_time_of_the_clock_for_its_signatures(vendors: Vendors) -> None:
    backend = Route53Backend(vendors)
    vendors.now = lambda: backend.context().clock.now() + timedelta(hours=1)

    with pytest.raises(DnsProblem, match="SignatureDoesNotMatch"):
        backend.open().zones()

    backend.context().http.close()


@pytest.mark.parametrize(
    ("code", "refusal"),
    [("Public", DnsRefusal.ERROR), ("PermissionDenied", DnsRefusal.AUTHORIZATION)],
)
def test_classic_infrastructure_refuses_with_status_500(vendors: Vendors, code: str, refusal: DnsRefusal) -> None:
    backend = ClassicBackend(vendors)
    vendors.answers = [Answered(500, {"error": "No.", "code": f"SoftLayer_Exception_{code}"})]

    with pytest.raises(DnsProblem) as problem:
        backend.open().zones()

    assert problem.value.refusal is refusal
    backend.context().http.close()


def test_classic_infrastructure_limits_its_rate_with_a_code(vendors: Vendors) -> None:
    backend = ClassicBackend(vendors)
    code = "SoftLayer_Exception_WebService_RateLimitExceeded"
    vendors.answers = [Answered(400, {"error": "Slow down.", "code": code})]

    with pytest.raises(Unavailable, match=r"Slow down\."):
        backend.open().zones()

    backend.context().http.close()


@pytest.mark.parametrize("code", [6003, 6111, 9109])
def test_cloudflare_refuses_malformed_tokens_with_status_400(vendors: Vendors, code: int) -> None:
    backend = CloudflareBackend(vendors)
    vendors.answers = [Answered(400, {"success": False, "errors": [{"code": code, "message": "Invalid headers"}]})]

    with pytest.raises(DnsProblem, match="Invalid headers") as problem:
        backend.open().zones()

    assert problem.value.refusal is DnsRefusal.AUTHORIZATION
    backend.context().http.close()


def test_cloudflare_needs_no_list_of_zones_if_it_knows_the_zone(vendors: Vendors) -> None:
    key = "0123456789abcdef0123456789abcdef"
    vendors.zones = {key: "example.com", "502": "example.org"}
    backend = CloudflareBackend(vendors)
    provider = backend.open({**backend.settings(), "cloudflare_zone_id": key})

    provider.present(_RECORD)

    assert provider.zones() == ["example.com"]
    assert not any(target.startswith("/client/v4/zones?") for _, target in vendors.seen)
    with pytest.raises(DnsProblem) as problem:
        provider.present(TxtRecord(name="_acme-challenge.example.org", value="one"))
    assert problem.value.refusal is DnsRefusal.NO_ZONE
    backend.context().http.close()


def test_powerdns_writes_no_zones_that_it_has_a_copy_of(vendors: Vendors) -> None:
    backend = PowerDnsBackend(vendors)
    provider = backend.open()

    assert "copy.example" not in provider.zones()
    with pytest.raises(DnsProblem, match="none of the zones"):
        provider.present(TxtRecord(name="_acme-challenge.copy.example", value="one"))
    backend.context().http.close()


def test_cloudflare_record_that_appears_in_between_is_taken_as_ours(vendors: Vendors) -> None:
    backend = CloudflareBackend(vendors)
    other: list[str] = []
    vendors.before_write = lambda: other.append(vendors.add("501", _RECORD.name, f'"{_RECORD.value}"').id)

    assert backend.open().present(_RECORD) == other[0]

    assert backend.values(_RECORD.name) == [_RECORD.value]
    backend.context().http.close()


def test_route53_writes_in_the_hosted_zone_of_the_settings_alone(vendors: Vendors) -> None:
    backend = Route53Backend(vendors)
    provider = backend.open({**backend.settings(), "route53_hosted_zone_id": "/hostedzone/501"})

    provider.present(_RECORD)

    assert provider.zones() == ["example.com"]
    assert not any(target.startswith("/2013-04-01/hostedzone?") for _, target in vendors.seen)
    backend.context().http.close()


def test_no_request_has_a_credential_in_its_address(backend: VendorBackend) -> None:
    provider = backend.open()
    provider.present(_RECORD)
    provider.cleanup(_RECORD, None)

    settings = backend.settings()
    secrets = [str(settings[name]) for name in backend.kind.secret_members if name in settings]
    assert not [secret for secret in secrets if secret in json.dumps(backend.vendors.seen)]


def test_vendor_does_not_show_its_secrets(vendors: Vendors) -> None:
    context = make_context()
    vendor = Vendor(
        context.http,
        name="Example",
        base_url=vendors.url,
        is_operators=True,
        secrets=("very-secret",),
        message=lambda _: "",
    )

    assert "very-secret" not in repr(vendor)
    context.http.close()
