"""What every ACME session does, over HTTP and in the process: the simulated years rest on both doing the same."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.domain.orders.acme import Acme, AcmeAccount, AcmeOrder, AcmeProblem, AcmeSession, AcmeStatus
from strongroom.domain.orders.dns import TxtRecord
from strongroom.engines.public.acme_client import AcmeClient
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.net.guard import Guard
from strongroom.net.requests_adapter import guarded_session
from strongroom.pki.load import load_certificates
from strongroom.pki.renewal_id import renewal_identifier
from tests.factories.orders import DIRECTORY, FakeAcme, FakeDns, make_ca
from tests.peers.acme_ca import AcmeCa, Limit
from tests.peers.fake_acme import fake_acme


class Site:
    """One CA, reached through one implementation of the port."""

    def __init__(self, acme: Acme, ca: AcmeCa, dns: FakeDns, clock: FrozenClock, directory_url: str) -> None:
        self.acme = acme
        self.ca = ca
        self.dns = dns
        self.clock = clock
        self.account = AcmeAccount(directory_url=directory_url, is_operators=True, private_key=acme.new_account_key())

    def session(self) -> AcmeSession:
        """Return a session of an account that exists."""
        session = self.acme.session(self.account)
        session.register()
        return session

    def prove(self, session: AcmeSession, order: AcmeOrder) -> AcmeOrder:
        """Publish what is asked for, and say so."""
        for url in order.authorizations:
            found = session.authorization(url)
            assert found.txt_value is not None
            assert found.challenge_url is not None
            self.dns.provider().present(TxtRecord(name=f"_acme-challenge.{found.domain}", value=found.txt_value))
            session.answer(found.challenge_url)
        return session.order(order.url)

    def issue(self, session: AcmeSession, *names: str) -> AcmeOrder:
        """See an order through."""
        return session.finalize(self.prove(session, session.new_order(names)), make_csr(names))


@pytest.fixture(params=["http", "in process"])
def site(request: pytest.FixtureRequest, clock: FrozenClock) -> Iterator[Site]:
    dns = FakeDns(clock)
    ca = make_ca(clock, dns)
    if request.param == "in process":
        yield Site(FakeAcme({DIRECTORY: ca}), ca, dns, clock, DIRECTORY)
        return
    factory = functools.partial(guarded_session, Guard(allow_private=False))
    client = AcmeClient(factory, trust_pem=None, clock=clock, user_agent="Strongroom/tests")
    with fake_acme(ca) as server, contextlib.closing(client):
        yield Site(client, ca, dns, clock, server.directory_url)


def make_csr(names: Sequence[str]) -> bytes:
    extension = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    key = ec.generate_private_key(ec.SECP256R1())
    return builder.add_extension(extension, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def refusal_of(problem: pytest.ExceptionInfo[AcmeProblem]) -> tuple[str, int, bool]:
    return problem.value.problem_type, problem.value.status, problem.value.is_final


def test_account_is_made_once_and_found_by_its_key(site: Site) -> None:
    session = site.acme.session(site.account)
    assert session.find_account() is None
    assert session.register() == session.register() == session.find_account()


def test_key_without_an_account_can_order_nothing(site: Site) -> None:
    with pytest.raises(AcmeProblem) as caught:
        site.acme.session(site.account).new_order(["example.com"])
    assert refusal_of(caught) == ("accountDoesNotExist", 400, True)


def test_text_that_is_no_key_is_refused(site: Site) -> None:
    with pytest.raises(Invalid) as caught:
        site.acme.check_account_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert caught.value.code is ErrorCode.KEY_UNREADABLE


def test_external_account_is_asked_for(site: Site) -> None:
    site.ca.eab_keys["kid-1"] = "c2VjcmV0LXNlY3JldC0_Pz8"
    session = site.acme.session(site.account)
    assert session.directory().needs_external_account
    with pytest.raises(AcmeProblem) as caught:
        session.register()
    assert refusal_of(caught) == ("externalAccountRequired", 403, True)


def test_order_goes_its_way(site: Site) -> None:
    session = site.session()
    names = ("example.com", "*.example.com")
    order = session.new_order(names)
    assert (order.status, order.identifiers, len(order.authorizations)) == (AcmeStatus.PENDING, names, 2)
    shown = [session.authorization(url) for url in order.authorizations]
    assert [(item.domain, item.is_wildcard) for item in shown] == [("example.com", False), ("example.com", True)]
    assert [item.challenge_status for item in shown] == [AcmeStatus.PENDING] * 2
    ready = site.prove(session, order)
    assert ready.status is AcmeStatus.READY
    valid = session.finalize(ready, make_csr(names))
    assert valid.status is AcmeStatus.VALID
    assert session.finalize(ready, make_csr(names)) == valid == session.order(order.url)
    assert valid.certificate_url is not None
    chains = session.certificate(valid.certificate_url)
    assert [chain.issuer_names[-1] for chain in chains] == ["Example Root X1", "Example Root X2"]
    assert [len(chain.intermediates) for chain in chains] == [1, 1]


def test_order_is_not_finalized_before_its_time(site: Site) -> None:
    session = site.session()
    with pytest.raises(AcmeProblem) as caught:
        session.finalize(session.new_order(["example.com"]), make_csr(["example.com"]))
    assert refusal_of(caught) == ("orderNotReady", 403, False)


def test_signing_request_with_other_names_is_refused(site: Site) -> None:
    session = site.session()
    ready = site.prove(session, session.new_order(["example.com"]))
    with pytest.raises(AcmeProblem) as caught:
        session.finalize(ready, make_csr(["www.example.com"]))
    assert refusal_of(caught) == ("badCSR", 400, True)


def test_missing_record_ends_the_order(site: Site) -> None:
    session = site.session()
    order = session.new_order(["example.com"])
    challenge_url = session.authorization(order.authorizations[0]).challenge_url
    assert challenge_url is not None
    session.answer(challenge_url)
    failed = session.authorization(order.authorizations[0])
    assert (failed.status, failed.problem_type) == (AcmeStatus.INVALID, "unauthorized")
    assert failed.problem == "No TXT record found at _acme-challenge.example.com"
    ended = session.order(order.url)
    assert (ended.status, ended.problem_type) == (AcmeStatus.INVALID, "unauthorized")
    session.answer(challenge_url)


def test_rejected_names_are_listed(site: Site) -> None:
    site.ca.rejected |= {"a.example.com", "b.example.com"}
    with pytest.raises(AcmeProblem) as caught:
        site.session().new_order(["a.example.com", "b.example.com", "c.example.com"])
    assert refusal_of(caught) == ("rejectedIdentifier", 400, True)
    assert caught.value.identifiers == ("a.example.com", "b.example.com")
    told = [f"{name}: policy forbids {name}" for name in caught.value.identifiers]
    assert caught.value.detail == "; ".join(["some names are refused", *told])


def test_rate_limit_says_when_it_ends(site: Site) -> None:
    site.ca.limits["new_order"] = Limit(count=1, per=timedelta(hours=3))
    session = site.session()
    session.new_order(["a.example.com"])
    site.clock.advance(timedelta(hours=1))
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["b.example.com"])
    assert refusal_of(caught) == ("rateLimited", 429, False)
    assert caught.value.retry_after == timedelta(hours=2)
    assert [kind for kind, _, _ in site.ca.refusals] == ["new_order"]


def test_outage_makes_every_call_unavailable(site: Site) -> None:
    session = site.session()
    order = session.new_order(["example.com"])
    site.ca.outage_until = site.clock.now() + timedelta(hours=1)
    calls: list[Callable[[], object]] = [
        session.find_account,
        session.register,
        lambda: session.new_order(["example.com"]),
        lambda: session.find_order(["example.com"]),
        lambda: session.order(order.url),
        lambda: session.authorization(order.authorizations[0]),
        lambda: session.finalize(order, make_csr(["example.com"])),
        lambda: session.deactivate(order.authorizations[0]),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            call()


def test_server_that_is_not_there_is_unavailable(site: Site) -> None:
    account = AcmeAccount(
        directory_url="http://127.0.0.1:9/directory", is_operators=True, private_key=site.account.private_key
    )
    with pytest.raises(Unavailable):
        site.acme.session(account).directory()


def test_lost_order_is_found_by_its_names(site: Site) -> None:
    session = site.session()
    placed = session.new_order(["example.com", "www.example.com"])
    session.new_order(["example.com"])
    found = session.find_order(["WWW.example.com", "example.com"])
    assert found == placed
    assert session.find_order(["other.example.com"]) is None
    site.ca.lists_orders = False
    assert session.find_order(["example.com"]) is None


def test_order_that_waits_is_found_first_and_one_that_is_done_for_an_hour(site: Site) -> None:
    session = site.session()
    waiting = session.new_order(["example.com"])
    done = site.issue(session, "example.com")
    found = session.find_order(["example.com"])
    assert found is not None
    assert found.url == waiting.url
    session.deactivate(waiting.authorizations[0])
    found = session.find_order(["example.com"])
    assert found is not None
    assert found.url == done.url
    site.clock.advance(timedelta(hours=2))
    assert session.find_order(["example.com"]) is None


def test_profile_and_replaced_certificate_are_sent_where_offered(site: Site) -> None:
    site.ca.profiles = {"shortlived": "six days"}
    session = site.session()
    url = site.issue(session, "example.com").certificate_url
    assert url is not None
    identifier = renewal_identifier(load_certificates(session.certificate(url)[0].leaf, field="certificate")[0])
    session.new_order(["example.com"], profile="shortlived", replaces=identifier)
    session.new_order(["example.com"], profile="unknown", replaces=identifier)
    site.ca.offers_renewal_info = False
    site.clock.advance(timedelta(minutes=10))
    session.new_order(["example.com"], replaces=identifier)
    sent = [(order.profile, order.replaces) for order in site.ca.orders[1:]]
    assert sent == [("shortlived", identifier), (None, None), (None, None)]


def test_renewal_window_is_read(site: Site) -> None:
    session = site.session()
    url = site.issue(session, "example.com").certificate_url
    assert url is not None
    leaf = session.certificate(url)[0].leaf
    window = session.renewal_window(leaf)
    assert window is not None
    assert window.end == site.clock.now().replace(microsecond=0) + timedelta(days=60)
    assert window.end - window.start == timedelta(days=3)
    assert window.check_again == timedelta(hours=6)
    site.clock.advance(timedelta(minutes=10))
    site.ca.offers_renewal_info = False
    assert session.renewal_window(leaf) is None


def test_authorization_can_be_given_up_twice(site: Site) -> None:
    session = site.session()
    order = session.new_order(["example.com"])
    session.deactivate(order.authorizations[0])
    session.deactivate(order.authorizations[0])
    assert session.authorization(order.authorizations[0]).status is AcmeStatus.DEACTIVATED
    assert session.order(order.url).status is AcmeStatus.INVALID
