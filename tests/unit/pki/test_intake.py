from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import PrivateFormat

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.csr import build_csr, parse_managed_csr
from strongroom.pki.inspect import inspect_certificate
from strongroom.pki.intake import ImportedFacts, examine_import, names_changed_notice, names_differ_notice
from strongroom.pki.keys import public_key_spki
from tests.factories.certificates import (
    Key,
    ec_key,
    key_to_pem,
    make_ca,
    make_chain,
    make_csr,
    make_leaf,
    make_sha1_leaf,
    rsa_key,
    sign_csr,
    to_pem,
)

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
CHAIN = make_chain(leaf_key=rsa_key(), now=NOW)


def _refused(certificate: str, private_key: str | None = None, intermediate: str | None = None) -> Invalid:
    with pytest.raises(Invalid) as caught:
        examine_import(certificate, private_key, intermediate, NOW)
    return caught.value


def _codes(facts: ImportedFacts) -> list[str]:
    return [notice.code for notice in facts.notices]


def test_a_certificate_alone_is_imported() -> None:
    facts = examine_import(CHAIN.leaf.pem, None, None, NOW)
    assert facts.leaf == inspect_certificate(CHAIN.leaf.certificate)
    assert facts.spki == public_key_spki(CHAIN.leaf.key)
    assert (facts.key_included, facts.intermediate_included) == (False, False)
    assert _codes(facts) == ["chain_incomplete"]


@pytest.mark.parametrize(
    ("key", "layout"),
    [
        (rsa_key(), PrivateFormat.TraditionalOpenSSL),
        (rsa_key(), PrivateFormat.PKCS8),
        (ec_key(), PrivateFormat.TraditionalOpenSSL),
        (ec_key(), PrivateFormat.PKCS8),
        (ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
    ],
    ids=["PKCS#1", "PKCS#8", "SEC1", "PKCS#8 EC", "PKCS#8 Ed25519"],
)
def test_a_certificate_with_key_and_chain_is_imported(key: Key, layout: PrivateFormat) -> None:
    chain = make_chain(leaf_key=key, now=NOW)
    facts = examine_import(chain.leaf.pem, key_to_pem(key, layout), chain.intermediate.pem + chain.root.pem, NOW)
    assert (facts.key_included, facts.intermediate_included) == (True, True)
    assert facts.notices == ()


def test_further_blocks_of_the_certificate_count_as_its_chain() -> None:
    facts = examine_import(CHAIN.leaf.pem + CHAIN.intermediate.pem, None, None, NOW)
    assert facts.intermediate_included is False
    assert facts.notices == ()
    assert _codes(examine_import(CHAIN.leaf.pem + CHAIN.intermediate.pem, None, CHAIN.root.pem, NOW)) == []


def test_an_expired_certificate_is_refused_with_its_end() -> None:
    leaf = make_leaf(30, names=("old.example.com",), now=NOW - timedelta(days=31))
    error = _refused(leaf.pem)
    assert error.code is ErrorCode.CERTIFICATE_EXPIRED
    assert error.field == "certificate"
    assert "certificate of old.example.com was valid until 2027-01-14T12:00:00Z" in error.detail
    assert "openssl x509 -in certificate.pem -noout -enddate" in str(error.hint)
    assert error.help_page == "import-problems"


def test_a_certificate_is_valid_in_its_last_second() -> None:
    leaf = make_leaf(30, now=NOW - timedelta(days=30))
    assert inspect_certificate(leaf.certificate).not_after == NOW
    examine_import(leaf.pem, None, None, NOW)
    with pytest.raises(Invalid):
        examine_import(leaf.pem, None, None, NOW + timedelta(seconds=1))


def test_the_key_of_another_certificate_is_refused() -> None:
    error = _refused(CHAIN.leaf.pem, key_to_pem(rsa_key(2048, other=True)))
    assert error.code is ErrorCode.KEY_MISMATCH
    assert error.field == "private_key"
    assert "It belongs to" not in error.detail
    assert "openssl pkey -in key.pem -pubout" in str(error.hint)


def test_a_chain_in_the_wrong_order_is_told_by_where_the_key_belongs() -> None:
    error = _refused(CHAIN.intermediate.pem + CHAIN.leaf.pem, key_to_pem(rsa_key()))
    assert error.code is ErrorCode.KEY_MISMATCH
    assert "It belongs to certificate number 2 of the text, which must come first." in error.detail


def test_every_independent_problem_is_reported_at_once() -> None:
    expired = make_leaf(30, now=NOW - timedelta(days=31))
    error = _refused(expired.pem, "not a key, but a text long enough to be looked at as one", make_csr())
    assert [(cause.field, cause.code) for cause in error.causes if isinstance(cause, Invalid)] == [
        ("certificate", ErrorCode.CERTIFICATE_EXPIRED),
        ("private_key", ErrorCode.WRONG_FORMAT),
        ("intermediate", ErrorCode.WRONG_FORMAT),
    ]


def test_an_unreadable_certificate_does_not_hide_an_unreadable_key_and_chain() -> None:
    error = _refused("-----BEGIN CERTIFICATE-----\n", key_to_pem(rsa_key())[:-40], "")
    assert [(cause.field, cause.code) for cause in error.causes if isinstance(cause, Invalid)] == [
        ("certificate", ErrorCode.CERTIFICATE_UNREADABLE),
        ("private_key", ErrorCode.KEY_UNREADABLE),
        ("intermediate", ErrorCode.INTERMEDIATE_UNREADABLE),
    ]


def test_a_good_key_beside_an_unreadable_certificate_is_no_second_problem() -> None:
    error = _refused("-----BEGIN CERTIFICATE-----\n", key_to_pem(rsa_key()))
    assert error.code is ErrorCode.CERTIFICATE_UNREADABLE
    assert error.causes == ()


def test_a_key_of_1024_bits_is_imported_with_a_warning() -> None:
    leaf = make_leaf(key=rsa_key(1024), self_signed=True, now=NOW)
    assert _codes(examine_import(leaf.pem, leaf.key_pem, None, NOW)) == ["weak_key"]


def test_a_key_below_1024_bits_is_refused_even_without_the_key() -> None:
    made = make_leaf(now=NOW, key=rsa_key(512))
    alone = _refused(made.pem)
    assert (alone.code, alone.field) == (ErrorCode.KEY_TOO_WEAK, "certificate")
    both = _refused(made.pem, made.key_pem)
    assert [cause.field for cause in both.causes] == ["certificate", "private_key"]
    assert {cause.code for cause in both.causes} == {ErrorCode.KEY_TOO_WEAK}


def test_certificates_with_flaws_that_live_clients_have_are_imported_with_warnings() -> None:
    authority = make_ca(now=NOW)
    assert _codes(examine_import(authority.pem, None, None, NOW)) == ["ca_as_leaf"]
    assert _codes(examine_import(make_sha1_leaf(now=NOW).pem, None, None, NOW)) == [
        "sha1_signature",
        "chain_incomplete",
    ]
    future = make_leaf(30, self_signed=True, age=timedelta(days=-1), now=NOW)
    (notice,) = examine_import(future.pem, None, None, NOW).notices
    assert notice.code == "not_yet_valid"
    assert "The certificate is valid from 2027-01-16T12:00:00Z only." in notice.message
    assert _codes(examine_import(CHAIN.leaf.pem, None, CHAIN.root.pem + CHAIN.intermediate.pem, NOW)) == [
        "chain_unordered"
    ]


def test_a_certificate_with_a_key_of_an_unknown_kind_is_imported() -> None:
    leaf = make_leaf(now=NOW)
    odd = x509.load_der_x509_certificate(
        leaf.der.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f"))
    )
    facts = examine_import(to_pem(odd), None, None, NOW)
    assert facts.leaf.key_algorithm == "1.2.840.10045.2.127"
    error = _refused(to_pem(odd), leaf.key_pem)
    assert error.code is ErrorCode.KEY_MISMATCH


def test_changed_names_are_told() -> None:
    old = inspect_certificate(make_leaf(names=("a.example.com", "b.example.com", "192.0.2.1"), now=NOW).certificate)
    same = inspect_certificate(make_leaf(names=("B.example.com", "A.example.com", "192.0.2.1"), now=NOW).certificate)
    new = inspect_certificate(make_leaf(names=("a.example.com", "c.example.com"), now=NOW).certificate)
    assert names_changed_notice(old, same) is None
    notice = names_changed_notice(old, new)
    assert notice is not None
    assert notice.code == "names_changed"
    assert notice.message == (
        "The names of the certificate changed: no longer 192.0.2.1 and b.example.com, newly c.example.com."
    )
    many = inspect_certificate(make_leaf(names=[f"{i}.example.com" for i in range(9)], now=NOW).certificate)
    told = names_changed_notice(new, many)
    assert told is not None
    assert "and 4 more" in told.message


def test_a_signed_certificate_with_other_names_than_its_request_is_told() -> None:
    values = {
        "common_name": "Example.com",
        "ip_sans": "2001:DB8::1",
        "uri_sans": "urn:x",
        "other_sans": "2.5.4.5;UTF8:a",
    }
    spec = parse_managed_csr(values)
    key = ec_key()
    signed = sign_csr(build_csr(spec, key), now=NOW)
    facts = examine_import(signed.pem, None, None, NOW)
    assert names_differ_notice(spec, facts.leaf) is None
    assert facts.spki == public_key_spki(key)
    other = inspect_certificate(make_leaf(names=("example.com", "www.example.com"), now=NOW).certificate)
    notice = names_differ_notice(spec, other)
    assert notice is not None
    assert notice.code == "names_changed"
    assert notice.message == (
        "The certificate has other names than the signing request: "
        "no longer 2001:db8::1 and urn:x, newly www.example.com."
    )


def test_an_import_can_be_examined_in_another_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        facts = pool.submit(examine_import, CHAIN.leaf.pem, key_to_pem(rsa_key()), CHAIN.intermediate.pem, NOW).result()
        refusal = pool.submit(examine_import, make_csr(), "", None, NOW).exception()
    assert facts == examine_import(CHAIN.leaf.pem, key_to_pem(rsa_key()), CHAIN.intermediate.pem, NOW)
    assert isinstance(refusal, Invalid)
    assert [cause.code for cause in refusal.causes] == [ErrorCode.WRONG_FORMAT, ErrorCode.KEY_UNREADABLE]
    assert refusal.help_page == "import-problems"


def test_facts_can_be_pickled() -> None:
    facts = examine_import(CHAIN.leaf.pem, None, None, NOW)
    assert pickle.loads(pickle.dumps(facts)) == facts  # noqa: S301 - our own bytes
