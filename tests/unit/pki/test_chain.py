from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Notice
from strongroom.pki.chain import MAX_CANDIDATES, chain_notices, is_issuer, order_chain
from tests.factories.certificates import Made, ec_key, make_ca, make_chain, make_leaf, make_sha1_leaf, rsa_key

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
CHAIN = make_chain(now=NOW)
LEAF, INTERMEDIATE, ROOT = CHAIN.leaf.certificate, CHAIN.intermediate.certificate, CHAIN.root.certificate


def _codes(notices: list[Notice]) -> list[str]:
    return [notice.code for notice in notices]


@pytest.mark.parametrize("others", list(itertools.permutations([INTERMEDIATE, ROOT, ROOT, LEAF])))
def test_any_order_with_duplicates_becomes_the_chain(others: tuple[x509.Certificate, ...]) -> None:
    assert order_chain(LEAF, others) == [LEAF, INTERMEDIATE, ROOT]


def test_a_chain_may_end_below_the_root_or_at_once() -> None:
    assert order_chain(LEAF, [INTERMEDIATE]) == [LEAF, INTERMEDIATE]
    assert order_chain(LEAF, []) == [LEAF]


def test_a_self_signed_certificate_is_its_own_chain() -> None:
    own = make_leaf(self_signed=True, now=NOW).certificate
    assert order_chain(own, []) == [own]
    assert chain_notices(own, [], NOW) == []


def test_an_unrelated_certificate_is_named() -> None:
    stranger = make_ca("Stranger", now=NOW)
    with pytest.raises(
        Invalid, match="CN=Stranger is not part of the chain of C=US, O=Example Trust, CN=example.com"
    ) as e:
        order_chain(LEAF, [INTERMEDIATE, stranger.certificate])
    assert e.value.code is ErrorCode.CHAIN_UNRELATED
    assert e.value.field == "intermediate"


def test_two_authorities_of_one_name_are_told_apart_by_their_signature() -> None:
    impostor = make_ca("Example Intermediate", issuer=CHAIN.root, now=NOW)
    assert not is_issuer(impostor.certificate, LEAF)
    with pytest.raises(Invalid) as caught:
        order_chain(LEAF, [impostor.certificate])
    assert caught.value.code is ErrorCode.CHAIN_UNRELATED


def _circle() -> tuple[Made, Made, Made]:
    """Two authorities that certify each other, and a leaf of the first."""
    one, two = ec_key(), ec_key()
    first_own, second_own = make_ca("One", key=one, now=NOW), make_ca("Two", key=two, now=NOW)
    first = make_ca("One", key=one, issuer=second_own, now=NOW)
    second = make_ca("Two", key=two, issuer=first_own, now=NOW)
    return make_leaf(issuer=first_own, now=NOW), first, second


def test_authorities_that_certify_each_other_are_a_loop() -> None:
    leaf, first, second = _circle()
    with pytest.raises(Invalid, match="goes round in a circle") as caught:
        order_chain(leaf.certificate, [first.certificate, second.certificate])
    assert caught.value.code is ErrorCode.CHAIN_LOOP
    (notice,) = chain_notices(leaf.certificate, [first.certificate, second.certificate], NOW)
    assert notice.code == "chain_broken"
    assert "circle" in notice.message


def test_of_cross_signed_paths_the_longer_one_is_taken_and_the_twin_dropped() -> None:
    key = ec_key()
    old_root = make_ca("Old Root", now=NOW)
    new_root = make_ca("New Root", key=key, now=NOW)
    crossed = make_ca("New Root", key=key, issuer=old_root, now=NOW)
    leaf = make_leaf(issuer=new_root, now=NOW).certificate
    bag = [new_root.certificate, old_root.certificate, crossed.certificate]
    for others in itertools.permutations(bag):
        assert order_chain(leaf, others) == [leaf, crossed.certificate, old_root.certificate]


def test_too_many_candidates_are_refused_before_any_work() -> None:
    with pytest.raises(Invalid, match="33 certificates besides the leaf; at most 32"):
        order_chain(LEAF, [ROOT] * (MAX_CANDIDATES + 1))


def test_a_web_of_cross_signed_authorities_is_searched_in_bounded_time() -> None:
    """Every authority certified by every other: the number of paths would be factorial."""
    size = 5
    keys = [ec_key() for _ in range(size + 1)]
    own = [make_ca(f"CA {i}", key=key, now=NOW) for i, key in enumerate(keys)]
    web = [
        make_ca(f"CA {i}", key=keys[i], issuer=own[j], now=NOW).certificate
        for i in range(size)
        for j in range(size + 1)
        if i != j
    ]
    leaf = make_leaf(issuer=own[0], now=NOW).certificate
    path = order_chain(leaf, web[:MAX_CANDIDATES])
    assert path[0] == leaf
    assert len(path) == size + 1


def test_a_key_made_to_keep_a_verifier_busy_certifies_nothing() -> None:
    usual = rsa_key().private_numbers()
    order = (usual.p - 1) * (usual.q - 1)
    exponent = next(e for e in range(2**2040 + 1, 2**2041, 2) if math.gcd(e, order) == 1)
    d = pow(exponent, -1, order)
    key = rsa.RSAPrivateNumbers(
        usual.p,
        usual.q,
        d,
        rsa.rsa_crt_dmp1(d, usual.p),
        rsa.rsa_crt_dmq1(d, usual.q),
        usual.iqmp,
        rsa.RSAPublicNumbers(exponent, usual.public_numbers.n),
    ).private_key(unsafe_skip_rsa_key_validation=True)
    busy, plain = make_ca("CA", key=key, now=NOW), make_ca("CA", key=rsa_key(), now=NOW)

    make_leaf(issuer=busy, now=NOW).certificate.verify_directly_issued_by(busy.certificate)
    assert not is_issuer(busy.certificate, make_leaf(issuer=busy, now=NOW).certificate)
    assert is_issuer(plain.certificate, make_leaf(issuer=plain, now=NOW).certificate)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([LEAF, INTERMEDIATE, ROOT, make_leaf(now=NOW).certificate]), max_size=6))
def test_notices_never_raise_and_an_ordered_result_is_a_chain(bag: list[x509.Certificate]) -> None:
    chain_notices(LEAF, bag, NOW)
    try:
        path = order_chain(LEAF, bag)
    except Invalid:
        return
    assert all(is_issuer(issuer, child) for child, issuer in itertools.pairwise(path))


def test_a_complete_chain_in_order_needs_no_notice() -> None:
    assert chain_notices(LEAF, [INTERMEDIATE], NOW) == []
    assert chain_notices(LEAF, [INTERMEDIATE, ROOT], NOW) == []


@pytest.mark.parametrize(
    ("given_chain", "code", "words"),
    [
        ([], "chain_incomplete", "issuer (C=US, O=Example Trust, CN=Example Intermediate)"),
        ([ROOT, INTERMEDIATE], "chain_unordered", "not in order"),
        ([INTERMEDIATE, INTERMEDIATE], "chain_unordered", "each once"),
        ([LEAF, INTERMEDIATE], "chain_unordered", "not in order"),
        ([ROOT], "chain_broken", "None of the chain's certificates issued the certificate"),
        ([INTERMEDIATE, make_ca("Stranger", now=NOW).certificate], "chain_broken", "CN=Stranger is not part"),
        ([ROOT] * 40, "chain_broken", "at most 32"),
    ],
)
def test_what_is_wrong_with_a_chain_is_told(given_chain: list[x509.Certificate], code: str, words: str) -> None:
    (notice,) = chain_notices(LEAF, given_chain, NOW)
    assert notice.code == code
    assert words in notice.message


def test_a_chain_member_that_is_no_authority_is_told() -> None:
    middle = make_leaf(names=("middle.example.com",), issuer=CHAIN.root, now=NOW)
    leaf = make_leaf(issuer=middle, now=NOW).certificate
    (notice,) = chain_notices(leaf, [middle.certificate], NOW)
    assert notice.code == "chain_broken"
    assert "Certificate 1 of the chain (C=US, O=Example Trust, CN=middle.example.com) is not a CA" in notice.message


def test_chain_members_out_of_their_time_are_told() -> None:
    late = NOW + timedelta(days=4000)
    assert _codes(chain_notices(LEAF, [INTERMEDIATE, ROOT], late)) == ["chain_expired", "chain_expired"]
    early = NOW - timedelta(days=1)
    assert _codes(chain_notices(LEAF, [INTERMEDIATE], early)) == ["not_yet_valid"]


def test_sha1_in_the_chain_is_told() -> None:
    weak = make_sha1_leaf(now=NOW).certificate
    assert "sha1_signature" in _codes(chain_notices(LEAF, [INTERMEDIATE, weak], NOW))
