"""What a CA hands over: which chain is taken, what is not accepted, and what is shown of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.domain.orders.acme import AcmeChain
from strongroom.domain.orders.faults import Fault, FaultCode
from strongroom.domain.orders.issued import attributes, choose_chain, facts_of_payload, has_bundle, read_issued
from strongroom.kernel.clock import FrozenClock
from strongroom.pki.order_request import build_order_csr
from tests.factories.orders import chain_of
from tests.peers.acme_issuer import AcmeIssuer

NAMES = ("www.example.com", "example.com")


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def issue(clock: FrozenClock, private_key: ec.EllipticCurvePrivateKey, *names: str) -> AcmeChain:
    """Return what the pretended CA hands over for names."""
    csr = x509.load_der_x509_csr(build_order_csr(names, names[0], private_key))
    signed = AcmeIssuer(clock.now()).sign(csr, names, clock.now(), timedelta(days=90))
    return chain_of(signed.chains[0])


def chain(*issuers: str) -> AcmeChain:
    return AcmeChain(leaf="", intermediates=(), issuer_names=issuers)


def test_without_a_wish_the_default_of_the_ca_is_taken() -> None:
    first, second = chain("E1", "Root X1"), chain("E1", "Root X2")
    for wish in (None, ""):
        assert choose_chain([first, second], wish) == (first, ())


@pytest.mark.parametrize("wish", ["Root X2", "root x2"])
def test_chain_that_leads_to_the_wish_is_taken(wish: str) -> None:
    first, second = chain("E1", "Root X1"), chain("E1", "Root X2")
    assert choose_chain([first, second], wish) == (second, ())


def test_chain_that_ends_at_the_wish_comes_before_one_that_passes_it() -> None:
    """A young root is certified by an old one, too; who names the young one wants the short chain."""
    long, short = chain("E1", "Root X1", "Old Root X3"), chain("E1", "Root X1")
    assert choose_chain([long, short], "Root X1") == (short, ())
    assert choose_chain([long, short], "Old Root X3") == (long, ())
    assert choose_chain([long], "Root X1") == (long, ())
    assert choose_chain([chain(), long], "E1") == (long, ())


def test_wish_that_nobody_offers_gives_the_default_and_a_warning() -> None:
    first, second = chain("E1", "Root X1"), chain("E1", "Root X2")
    chosen, (notice,) = choose_chain([first, second, chain()], "Root X9")
    assert chosen == first
    assert notice.code == "preferred_chain_not_offered"
    assert notice.message.endswith("no chain to Root X9; its default is used. It offers chains to Root X1, Root X2.")


def test_nothing_is_no_certificate() -> None:
    with pytest.raises(Fault) as caught:
        choose_chain([], None)
    assert caught.value.fault is FaultCode.CA_ANSWER_UNUSABLE


@pytest.mark.parametrize("is_bundled", [True, False])
def test_certificate_is_taken_with_its_key(clock: FrozenClock, is_bundled: bool) -> None:
    private_key = key()
    handed = issue(clock, private_key, *NAMES)
    issued = read_issued(handed, NAMES, private_key, is_bundled=is_bundled)
    intermediate = "".join(handed.intermediates)
    assert issued.payload["certificate"] == handed.leaf + (intermediate if is_bundled else "")
    assert issued.payload["intermediate"] == intermediate
    assert issued.payload["private_key"].startswith("-----BEGIN EC PRIVATE KEY-----")
    assert facts_of_payload(issued.payload) == issued.facts


def test_certificate_without_a_chain_has_no_intermediate(clock: FrozenClock) -> None:
    private_key = key()
    handed = issue(clock, private_key, *NAMES)
    alone = AcmeChain(leaf=handed.leaf, intermediates=(), issuer_names=handed.issuer_names[:1])
    issued = read_issued(alone, NAMES, private_key, is_bundled=True)
    assert set(issued.payload) == {"certificate", "private_key"}
    assert issued.payload["certificate"] == handed.leaf


def test_certificate_of_another_key_is_refused(clock: FrozenClock) -> None:
    with pytest.raises(Fault, match="another key"):
        read_issued(issue(clock, key(), *NAMES), NAMES, key(), is_bundled=True)


def test_certificate_that_lacks_a_name_is_refused(clock: FrozenClock) -> None:
    private_key = key()
    handed = issue(clock, private_key, *NAMES)
    with pytest.raises(Fault, match=r"does not hold other\.example\.com"):
        read_issued(handed, (*NAMES, "other.example.com"), private_key, is_bundled=True)


@pytest.mark.parametrize("member", ["leaf", "intermediate"])
def test_damaged_text_is_refused(clock: FrozenClock, member: str) -> None:
    private_key = key()
    handed = issue(clock, private_key, *NAMES)
    damaged = AcmeChain(
        leaf="no certificate" if member == "leaf" else handed.leaf,
        intermediates=("no certificate",) if member == "intermediate" else handed.intermediates,
        issuer_names=handed.issuer_names,
    )
    with pytest.raises(Fault, match="cannot be used") as caught:
        read_issued(damaged, NAMES, private_key, is_bundled=True)
    assert caught.value.fault is FaultCode.CA_ANSWER_UNUSABLE
    assert caught.value.is_final


def test_common_name_that_the_ca_has_chosen_is_shown_unless_one_was_asked_for(clock: FrozenClock) -> None:
    private_key = key()
    issued = read_issued(issue(clock, private_key, *NAMES), NAMES, private_key, is_bundled=True)
    asked = {"alt_names": list(NAMES), "serial_number": "of the last one", "ca": "my-ca"}
    shown = attributes(asked, issued.facts, {"state": 1})
    assert shown["common_name"] == "www.example.com"
    assert (shown["ca"], shown["issuance_info"]) == ("my-ca", {"state": 1})
    assert shown["serial_number"] == issued.facts.serial_number
    assert attributes({**asked, "common_name": "example.com"}, issued.facts, {})["common_name"] == "example.com"


def test_bundle_is_the_default() -> None:
    assert [has_bundle(asked) for asked in ({}, {"bundle_certs": True}, {"bundle_certs": False})] == [True, True, False]
