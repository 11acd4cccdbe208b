"""The ACME adapter against a real, strict server that refuses every second nonce."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.verification import PolicyBuilder, Store

from strongroom.domain.orders.acme import AcmeAccount, AcmeOrder, AcmeProblem, AcmeSession, AcmeStatus
from strongroom.engines.public.acme_client import AcmeClient
from strongroom.kernel.clock import SystemClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.net.guard import Guard
from strongroom.net.requests_adapter import guarded_session
from tests.peers.pebble import EAB_KEYS, ChallengeDns, Pebble, PebbleOptions

pytestmark = [pytest.mark.integration, pytest.mark.peers]


def make_client(*, allow_private: bool = True, trust_pem: str | None = None) -> AcmeClient:
    factory = functools.partial(guarded_session, Guard(allow_private=allow_private))
    return AcmeClient(factory, trust_pem=trust_pem, clock=SystemClock(), user_agent="Strongroom/tests")


@pytest.fixture
def client() -> Iterator[AcmeClient]:
    made = make_client()
    yield made
    made.close()


@pytest.fixture
def session(client: AcmeClient, pebble: Pebble) -> AcmeSession:
    made = client.session(account_of(pebble, client.new_account_key()))
    made.register()
    return made


def account_of(pebble: Pebble, key: str, **members: object) -> AcmeAccount:
    return AcmeAccount(
        directory_url=pebble.directory_url,
        private_key=key,
        root_bundle=pebble.trust_pem,
        **members,  # type: ignore[arg-type]
    )


def make_csr(names: Sequence[str]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    extension = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.add_extension(extension, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def wait_for(look: Callable[[], AcmeOrder], *wanted: AcmeStatus) -> AcmeOrder:
    deadline = time.monotonic() + 30
    while (order := look()).status not in wanted:
        assert time.monotonic() < deadline, order
        time.sleep(0.05)
    return order


def prove(session: AcmeSession, order: AcmeOrder, dns: ChallengeDns) -> AcmeOrder:
    for url in order.authorizations:
        authorization = session.authorization(url)
        assert authorization.txt_value is not None
        assert authorization.challenge_url is not None
        dns.set_txt(f"_acme-challenge.{authorization.domain}", authorization.txt_value)
    for url in order.authorizations:
        challenge_url = session.authorization(url).challenge_url
        assert challenge_url is not None
        session.answer(challenge_url)
    return wait_for(lambda: session.order(order.url), AcmeStatus.READY, AcmeStatus.INVALID)


def test_directory_offers_neither_profiles_nor_renewal_windows(session: AcmeSession) -> None:
    directory = session.directory()
    assert directory.profiles == ()
    assert not directory.has_renewal_info
    assert not directory.needs_external_account


def test_account_is_found_by_its_key_once_it_is_registered(client: AcmeClient, pebble: Pebble) -> None:
    session = client.session(account_of(pebble, client.new_account_key(), contact=("mailto:pki@example.com",)))
    assert session.find_account() is None
    url = session.register()
    assert session.find_account() == url
    assert session.register() == url


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), None], ids=lambda c: c and c.name)
def test_keys_of_every_kind_register(client: AcmeClient, pebble: Pebble, curve: ec.EllipticCurve | None) -> None:
    key = ec.generate_private_key(curve) if curve else rsa.generate_private_key(65537, 2048)
    layout = PrivateFormat.TraditionalOpenSSL
    pem = client.check_account_key(key.private_bytes(Encoding.PEM, layout, NoEncryption()).decode())
    assert client.session(account_of(pebble, pem)).register().startswith("https://127.0.0.1:")


def test_apex_www_and_wildcard_are_issued_with_every_chain(
    session: AcmeSession, pebble: Pebble, challenge_dns: ChallengeDns
) -> None:
    names = ["apex.example.com", "www.apex.example.com", "*.apex.example.com"]
    order = session.new_order(names)
    assert order.status is AcmeStatus.PENDING
    assert set(order.identifiers) == set(names)
    wildcards = [session.authorization(url).is_wildcard for url in order.authorizations]
    assert sorted(wildcards) == [False, False, True]
    ready = prove(session, order, challenge_dns)
    assert ready.status is AcmeStatus.READY, ready
    session.finalize(ready, make_csr(names))
    valid = wait_for(lambda: session.order(order.url), AcmeStatus.VALID)
    assert valid.certificate_url is not None
    chains = session.certificate(valid.certificate_url)
    assert len(chains) == 3
    assert len({chain.issuer_names for chain in chains}) == 3
    for chain, root in zip(chains, pebble.roots(), strict=True):
        store = Store([x509.load_pem_x509_certificate(root.encode())])
        verifier = PolicyBuilder().store(store).build_client_verifier()
        leaf = x509.load_pem_x509_certificate(chain.leaf.encode())
        rest = [x509.load_pem_x509_certificate(text.encode()) for text in chain.intermediates]
        assert verifier.verify(leaf, rest).subjects


def test_finalizing_again_returns_the_order_as_it_stands(session: AcmeSession, challenge_dns: ChallengeDns) -> None:
    names = ["again.example.com"]
    ready = prove(session, session.new_order(names), challenge_dns)
    csr = make_csr(names)
    session.finalize(ready, csr)
    again = session.finalize(ready, csr)
    assert again.status in {AcmeStatus.PROCESSING, AcmeStatus.VALID}
    valid = wait_for(lambda: session.order(ready.url), AcmeStatus.VALID)
    assert session.finalize(ready, csr) == valid


def test_finalizing_too_early_says_that_the_order_is_not_ready(session: AcmeSession) -> None:
    order = session.new_order(["early.example.com"])
    with pytest.raises(AcmeProblem) as caught:
        session.finalize(order, make_csr(["early.example.com"]))
    assert caught.value.problem_type == "orderNotReady"
    assert not caught.value.is_final


def test_wrong_record_fails_the_challenge_with_its_reason(session: AcmeSession, challenge_dns: ChallengeDns) -> None:
    order = session.new_order(["wrong.example.com"])
    authorization = session.authorization(order.authorizations[0])
    challenge_dns.set_txt("_acme-challenge.wrong.example.com", "not-the-value")
    assert authorization.challenge_url is not None
    session.answer(authorization.challenge_url)
    assert wait_for(lambda: session.order(order.url), AcmeStatus.INVALID).status is AcmeStatus.INVALID
    failed = session.authorization(order.authorizations[0])
    assert failed.status is AcmeStatus.INVALID
    assert failed.problem_type == "unauthorized"
    assert failed.problem == "Correct value not found for DNS challenge"
    assert failed.challenge_url is not None
    session.answer(failed.challenge_url)


def test_order_is_found_again_by_its_names(session: AcmeSession) -> None:
    for number in range(5):
        session.new_order([f"other{number}.example.com"])
    placed = session.new_order(["lost.example.com", "*.lost.example.com"])
    for number in range(5, 9):
        session.new_order([f"other{number}.example.com"])
    found = session.find_order(["*.lost.example.com", "LOST.example.com"])
    assert found is not None
    assert found.url == placed.url
    assert session.find_order(["lost.example.com"]) is None


def test_order_just_issued_is_found_again(session: AcmeSession, challenge_dns: ChallengeDns) -> None:
    names = ["issued.example.com"]
    ready = prove(session, session.new_order(names), challenge_dns)
    session.finalize(ready, make_csr(names))
    valid = wait_for(lambda: session.order(ready.url), AcmeStatus.VALID)
    found = session.find_order(names)
    assert found is not None
    assert found.url == valid.url


def test_authorization_can_be_given_up_twice(session: AcmeSession) -> None:
    order = session.new_order(["unwanted.example.com"])
    session.deactivate(order.authorizations[0])
    session.deactivate(order.authorizations[0])
    assert session.authorization(order.authorizations[0]).status is AcmeStatus.DEACTIVATED


def test_pebble_names_no_renewal_window(session: AcmeSession, challenge_dns: ChallengeDns) -> None:
    names = ["window.example.com"]
    ready = prove(session, session.new_order(names), challenge_dns)
    session.finalize(ready, make_csr(names))
    valid = wait_for(lambda: session.order(ready.url), AcmeStatus.VALID)
    assert valid.certificate_url is not None
    assert session.renewal_window(session.certificate(valid.certificate_url)[0].leaf) is None


def test_external_account_is_needed(client: AcmeClient, pebble_with_external_accounts: Pebble) -> None:
    pebble = pebble_with_external_accounts
    session = client.session(account_of(pebble, client.new_account_key()))
    assert session.directory().needs_external_account
    with pytest.raises(AcmeProblem) as caught:
        session.register()
    assert caught.value.problem_type == "externalAccountRequired"
    assert caught.value.is_final


@pytest.mark.parametrize("key_id", EAB_KEYS)
def test_external_account_is_bound(client: AcmeClient, pebble_with_external_accounts: Pebble, key_id: str) -> None:
    pebble = pebble_with_external_accounts
    account = account_of(
        pebble, client.new_account_key(), eab_key_id=key_id, eab_hmac_key=EAB_KEYS[key_id].replace("-", "+") + "=="
    )
    session = client.session(account)
    url = session.register()
    assert session.find_account() == url


def test_external_account_with_a_wrong_key_is_refused(
    client: AcmeClient, pebble_with_external_accounts: Pebble
) -> None:
    account = account_of(
        pebble_with_external_accounts,
        client.new_account_key(),
        eab_key_id="kid-1",
        eab_hmac_key=EAB_KEYS["kid-2"],
    )
    with pytest.raises(AcmeProblem) as caught:
        client.session(account).register()
    assert caught.value.is_final


def test_private_address_is_refused_unless_allowed(pebble: Pebble) -> None:
    client = make_client(allow_private=False)
    session = client.session(account_of(pebble, client.new_account_key()))
    with pytest.raises(Invalid) as caught:
        session.directory()
    assert caught.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    operators = client.session(account_of(pebble, client.new_account_key(), is_operators=True))
    assert operators.register()
    client.close()


def test_server_that_nobody_vouches_for_cannot_be_reached(client: AcmeClient, pebble: Pebble) -> None:
    account = AcmeAccount(directory_url=pebble.directory_url, private_key=client.new_account_key())
    with pytest.raises(Unavailable):
        client.session(account).directory()


def test_bundle_of_the_settings_is_trusted(pebble: Pebble) -> None:
    client = make_client(trust_pem=pebble.trust_pem)
    account = AcmeAccount(directory_url=pebble.directory_url, private_key=client.new_account_key(), is_operators=True)
    assert client.session(account).register()
    client.close()


def test_nobody_answers_at_the_address() -> None:
    client = make_client(trust_pem=None)
    account = AcmeAccount(directory_url="https://127.0.0.1:9/dir", private_key=client.new_account_key())
    with pytest.raises(Unavailable) as caught:
        client.session(account).directory()
    assert "127.0.0.1" in caught.value.detail
    client.close()


def test_validations_that_pause_are_waited_for(client: AcmeClient, challenge_dns: ChallengeDns, tmp_path: Path) -> None:
    pebble = Pebble(tmp_path, challenge_dns.server, PebbleOptions(sleep=2))
    try:
        session = client.session(account_of(pebble, client.new_account_key()))
        session.register()
        order = session.new_order(["slow.example.com", "slower.example.com"])
        assert prove(session, order, challenge_dns).status is AcmeStatus.READY
    finally:
        pebble.stop()


def test_server_that_lost_its_memory_knows_no_account(
    client: AcmeClient, challenge_dns: ChallengeDns, tmp_path: Path
) -> None:
    pebble = Pebble(tmp_path, challenge_dns.server)
    try:
        session = client.session(account_of(pebble, client.new_account_key()))
        session.register()
        pebble.restart()
        with pytest.raises(AcmeProblem) as caught:
            session.new_order(["forgotten.example.com"])
        assert caught.value.problem_type == "accountDoesNotExist"
        assert session.find_account() is None
        session.register()
        assert session.new_order(["forgotten.example.com"]).status is AcmeStatus.PENDING
    finally:
        pebble.stop()
