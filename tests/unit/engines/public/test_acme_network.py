"""Between the adapter and a server: nonces, directory, errors, and answers that are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from strongroom.domain.orders.acme import AcmeProblem, AcmeSession, AcmeStatus
from strongroom.engines.public.acme_network import NONCE_TRIES
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Unavailable
from tests.peers.fake_acme import Raw
from tests.unit.engines.public.conftest import Scene, make_csr

T = TypeVar("T")


def test_refused_nonces_are_tried_again(scene: Scene) -> None:
    session = scene.session()
    scene.server.bad_nonces = NONCE_TRIES - 1
    assert session.new_order(["example.com"]).status is AcmeStatus.PENDING
    assert len(scene.ca.orders) == 1


def test_nonces_that_are_always_refused_come_to_an_end(scene: Scene) -> None:
    session = scene.session()
    scene.server.bad_nonces = 10 * NONCE_TRIES
    before = scene.server.posts["new-order"]
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["example.com"])
    assert caught.value.problem_type == "badNonce"
    assert not caught.value.is_final
    assert scene.server.posts["new-order"] == before + NONCE_TRIES


def test_nonces_are_shared_by_sessions_and_fetched_once(scene: Scene) -> None:
    for number in range(5):
        scene.session().new_order([f"n{number}.example.com"])
    assert scene.server.nonces == 1


def test_old_nonces_are_not_used(scene: Scene) -> None:
    session = scene.session()
    scene.clock.advance(timedelta(minutes=10))
    session.new_order(["example.com"])
    assert scene.server.nonces == 2


def test_threads_never_send_a_nonce_twice(scene: Scene) -> None:
    session = scene.session()
    before = scene.server.posts["new-order"]
    with ThreadPoolExecutor(8) as pool:
        orders = list(pool.map(lambda number: session.new_order([f"n{number}.example.com"]), range(40)))
    assert len({order.url for order in orders}) == 40
    assert scene.server.posts["new-order"] == before + 40


@pytest.mark.parametrize("nonce", ["", "no base64url!", "a", "x" * 600, "AB", "===="])
def test_nonce_that_cannot_be_one_is_not_used(scene: Scene, nonce: str) -> None:
    session = scene.session()
    scene.clock.advance(timedelta(minutes=10))
    scene.server.script("new-nonce", Raw(headers={"Replay-Nonce": nonce}))
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["example.com"])
    assert caught.value.problem_type == "malformed"
    assert scene.server.posts["new-order"] == 0


def test_directory_is_read_once_in_some_minutes(scene: Scene) -> None:
    session = scene.session()
    assert session.directory().profiles == ()
    scene.ca.profiles = {"classic": "as ever"}
    assert scene.session().directory().profiles == ()
    scene.clock.advance(timedelta(minutes=6))
    assert session.directory().profiles == ("classic",)


@pytest.mark.parametrize("clock_back", [timedelta(hours=-2)])
def test_clock_that_was_set_back_keeps_no_directory_for_ever(scene: Scene, clock_back: timedelta) -> None:
    session = scene.session()
    session.directory()
    scene.ca.profiles = {"classic": "as ever"}
    scene.clock.advance(clock_back)
    assert session.directory().profiles == ("classic",)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("120", timedelta(minutes=2)), ("-5", None), ("soon", None), ("99999999999", timedelta(days=1)), (None, None)],
)
def test_busy_server_says_when_to_come_back(scene: Scene, header: str | None, expected: timedelta | None) -> None:
    session = scene.session()
    scene.server.script("new-order", Raw(status=503, headers={} if header is None else {"Retry-After": header}))
    with pytest.raises(Unavailable) as caught:
        session.new_order(["example.com"])
    assert caught.value.retry_after == expected


def test_rate_limit_of_a_proxy_counts_too(scene: Scene) -> None:
    session = scene.session()
    scene.server.script("new-order", Raw(status=429, body=b"<html>", headers={"Retry-After": "30"}))
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["example.com"])
    assert caught.value.problem_type == "rateLimited"
    assert caught.value.retry_after == timedelta(seconds=30)


def test_words_of_the_server_are_cleaned(scene: Scene) -> None:
    session = scene.session()
    scene.server.script("new-order", scene.server.problem("dns", "a\x00b\r\nc\x1b[31m" + "x" * 1000))
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["example.com"])
    assert caught.value.detail.startswith("a b c [31mxxx")
    assert len(caught.value.detail) == 500


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://127.0.0.1:1/",
        "https://localhost/",
        "https://0.0.0.0/",
        "http://192.168.0.1/",
    ],
)
def test_directory_does_not_lead_to_private_addresses(scene: Scene, target: str) -> None:
    scene.server.changes["directory"] = {"newOrder": target, "newNonce": target}
    with pytest.raises(Invalid) as caught:
        scene.session()
    assert caught.value.code is ErrorCode.DESTINATION_NOT_ALLOWED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(scene: Scene, status: int) -> None:
    session = scene.session()
    location = f"{scene.server.base}/directory"
    scene.server.script("new-order", Raw(status=status, headers={"Location": location}))
    with pytest.raises(AcmeProblem, match="redirect"):
        session.new_order(["example.com"])


def test_directory_that_redirects_to_a_private_address_leads_nowhere(scene: Scene) -> None:
    scene.server.script("directory", Raw(status=302, headers={"Location": "http://169.254.169.254/"}))
    with pytest.raises(AcmeProblem, match="redirect"):
        scene.session()


def test_secrets_stay_out_of_errors_and_representations(scene: Scene) -> None:
    scene.account = replace(scene.account, eab_key_id="kid-1", eab_hmac_key="cGxhbnRlZC1obWFjLWtleQ")
    session = scene.session(registered=False)
    inside = scene.account.private_key.splitlines()[1]
    scene.ca.outage_until = scene.clock.now() + timedelta(hours=1)
    with pytest.raises(StrongroomError) as caught:
        session.register()
    for text in (repr(session), repr(scene.account), repr(scene.client), caught.value.diagnostics()):
        assert inside not in text
        assert "cGxhbnRlZC1obWFjLWtleQ" not in text


# What is not as it should be, by resource: the answer of the server, and the call that gets it.

JUNK = [
    b"",
    b"no JSON",
    b"[]",
    b"null",
    b"7",
    b'"text"',
    b"{}",
    b"\xff\xfe\x00",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b"9" * 5_000,
    b'{"status": "unheard-of"}',
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A session with a certificate, and where its things are."""

    session: AcmeSession
    order: str
    authorization: str
    certificate: str
    leaf: str


def prepare(scene: Scene) -> Prepared:
    session = scene.session()
    order = scene.issue(session, "example.com")
    assert order.certificate_url is not None
    return Prepared(
        session=session,
        order=order.url,
        authorization=order.authorizations[0],
        certificate=order.certificate_url,
        leaf=session.certificate(order.certificate_url)[0].leaf,
    )


CALLS: dict[str, Callable[[Prepared], object]] = {
    "new-order": lambda made: made.session.new_order(["example.com"]),
    "order": lambda made: made.session.order(made.order),
    "authorization": lambda made: made.session.authorization(made.authorization),
    "renewal-info": lambda made: made.session.renewal_window(made.leaf),
    "certificate": lambda made: made.session.certificate(made.certificate),
}


def assert_malformed(call: Callable[[T], object], of: T) -> None:
    with pytest.raises(AcmeProblem) as caught:
        call(of)
    assert caught.value.problem_type == "malformed"
    assert "127.0.0.1" in caught.value.detail
    assert len(caught.value.detail) < 300


@pytest.mark.parametrize("resource", CALLS)
def test_junk_is_malformed_and_never_a_crash(scene: Scene, resource: str) -> None:
    made = prepare(scene)
    for body in JUNK:
        scene.server.script(resource, Raw(body=body))
        assert_malformed(CALLS[resource], made)


def test_junk_for_a_directory_is_malformed(scene: Scene) -> None:
    for body in JUNK:
        scene.server.script("directory", Raw(body=body))
        assert_malformed(lambda session: session.directory(), scene.session(registered=False))


URL = "https://acme.example.com/x"
BAD_URLS: list[Any] = [None, 7, "", "not a url at all \n", "ftp://example.com/", "https://", "javascript:alert(1)",
                       "https://[::bad/", "x" * 3000, ["https://example.com/"]]  # fmt: skip
GOOD_ORDER = {
    "status": "pending",
    "identifiers": [{"type": "dns", "value": "example.com"}],
    "authorizations": [URL],
    "finalize": URL,
}
GOOD_CHALLENGE = {"type": "dns-01", "url": URL, "status": "pending", "token": "x" * 43}
GOOD_AUTHORIZATION = {
    "status": "pending",
    "identifier": {"type": "dns", "value": "example.com"},
    "challenges": [GOOD_CHALLENGE],
}


@pytest.mark.parametrize(
    "change",
    [
        *({"finalize": url} for url in BAD_URLS),
        *({"authorizations": [url]} for url in BAD_URLS),
        {"authorizations": None},
        {"authorizations": {}},
        {"authorizations": [URL] * 1001},
        {"certificate": 5},
        {"certificate": "http://"},
        {"status": None},
        {"status": 5},
        {"status": "Pending"},
        {"identifiers": None},
        {"identifiers": ["example.com"]},
        {"identifiers": [{"type": "ip", "value": "192.0.2.1"}]},
        {"identifiers": [{"type": "dns"}]},
        {"identifiers": [{"type": "dns", "value": ""}]},
        {"identifiers": [{"type": "dns", "value": "a b"}]},
        {"identifiers": [{"type": "dns", "value": "x" * 300}]},
        {"expires": 5},
        {"expires": "tomorrow"},
        {"expires": "9999-99-99T00:00:00Z"},
    ],
    ids=repr,
)
def test_order_with_a_wrong_member_is_malformed(scene: Scene, change: dict[str, Any]) -> None:
    made = prepare(scene)
    scene.server.script("order", Raw(body=json.dumps(GOOD_ORDER | change).encode()))
    assert_malformed(CALLS["order"], made)


@pytest.mark.parametrize(
    "change",
    [
        {"identifier": None},
        {"identifier": {"type": "dns", "value": 7}},
        {"status": "ready-ish"},
        {"challenges": None},
        {"challenges": "dns-01"},
        {"challenges": ["dns-01"]},
        *({"challenges": [GOOD_CHALLENGE | {"url": url}]} for url in BAD_URLS),
        {"challenges": [GOOD_CHALLENGE | {"token": None}]},
        {"challenges": [GOOD_CHALLENGE | {"token": "short"}]},
        {"challenges": [GOOD_CHALLENGE | {"token": "x" * 43 + "\n"}]},
        {"challenges": [GOOD_CHALLENGE | {"token": "../../../../etc/passwd"}]},
        {"challenges": [GOOD_CHALLENGE | {"status": None}]},
        {"expires": "never"},
    ],
    ids=repr,
)
def test_authorization_with_a_wrong_member_is_malformed(scene: Scene, change: dict[str, Any]) -> None:
    made = prepare(scene)
    scene.server.script("authorization", Raw(body=json.dumps(GOOD_AUTHORIZATION | change).encode()))
    assert_malformed(CALLS["authorization"], made)


@pytest.mark.parametrize("member", ["newNonce", "newAccount", "newOrder"])
def test_directory_without_a_resource_is_malformed(scene: Scene, member: str) -> None:
    bad: list[Any] = [None, 7, "ftp://acme.example.com/", "/relative", []]
    for url in bad:
        scene.server.changes["directory"] = {member: url}
        assert_malformed(lambda session: session.directory(), scene.session(registered=False))


def test_directory_with_a_wrong_meta_is_malformed(scene: Scene) -> None:
    bad: list[Any] = [7, [], {"profiles": []}, {"profiles": "classic"}]
    for meta in bad:
        scene.server.changes["directory"] = {"meta": meta}
        assert_malformed(lambda session: session.directory(), scene.session(registered=False))


def test_directory_needs_no_meta(scene: Scene) -> None:
    scene.server.changes["directory"] = {"meta": None, "renewalInfo": None}
    directory = scene.session(registered=False).directory()
    assert directory.profiles == ()
    assert not directory.has_renewal_info
    assert not directory.needs_external_account


@pytest.mark.parametrize(
    "window",
    [
        None,
        {},
        {"start": "2027-01-01T00:00:00Z"},
        {"start": "2027-01-02T00:00:00Z", "end": "2027-01-01T00:00:00Z"},
        {"start": "2027-01-02T00:00:00Z", "end": "2027-01-02T00:00:00Z"},
        {"start": 1, "end": 2},
        ["2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"],
    ],
    ids=repr,
)
def test_window_that_is_none_is_malformed(scene: Scene, window: Any) -> None:
    made = prepare(scene)
    scene.server.script("renewal-info", Raw(body=json.dumps({"suggestedWindow": window}).encode()))
    assert_malformed(CALLS["renewal-info"], made)


def test_new_order_without_its_place_is_malformed(scene: Scene) -> None:
    made = prepare(scene)
    body = json.dumps(GOOD_ORDER).encode()
    scene.server.script(
        "new-order", Raw(status=201, body=body), Raw(status=201, body=body, headers={"Location": "https://[::"})
    )
    for _ in range(2):
        assert_malformed(CALLS["new-order"], made)


@pytest.mark.parametrize("status", [200, 201])
def test_account_without_its_place_is_malformed(scene: Scene, status: int) -> None:
    scene.server.script("new-account", Raw(status=status, body=b"{}"))
    assert_malformed(lambda session: session.register(), scene.session(registered=False))


@pytest.mark.parametrize(
    "body",
    [
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"\x30\x82\x01\x00",
        "-----BEGIN CERTIFICATE-----\nÄ\n".encode(),
        b"x" * 200_000,
    ],
    ids=range(6),
)
def test_certificate_that_is_none_is_malformed(scene: Scene, body: bytes) -> None:
    made = prepare(scene)
    scene.server.script("certificate", Raw(body=body))
    assert_malformed(CALLS["certificate"], made)


def test_alternate_chain_that_cannot_be_used_is_left_out(scene: Scene) -> None:
    made = prepare(scene)
    url = made.certificate
    good = "".join(scene.ca.certificates[url.rsplit("/", 1)[1]].chains[:1]).encode()
    links = [f'<{url}/1>;rel="alternate"', "<::>;rel=alternate", '<https://[bad>;rel="alternate"', "nonsense,,;;<"]
    scene.server.script("certificate", Raw(body=good, headers={"Link": ", ".join(links)}), Raw(body=b"junk"))
    assert len(made.session.certificate(url)) == 1


def test_links_are_read_in_all_their_spellings(scene: Scene) -> None:
    made = prepare(scene)
    url = made.certificate
    good = scene.ca.certificates[url.rsplit("/", 1)[1]].chains[0].encode()
    path = url.removeprefix(scene.server.base)
    link = f'<{path}/1>;title="a, b; c" ; REL=alternate, </directory>;rel="index", <{url}/0>; rel="alternate next"'
    scene.server.script("certificate", Raw(body=good, headers={"Link": link}))
    assert len(made.session.certificate(url)) == 3


def test_orders_that_are_gone_are_passed_over(scene: Scene) -> None:
    session = scene.session()
    session.new_order(["example.com"])
    session.new_order(["www.example.com"])
    scene.server.script("order", Raw(status=404, body=b"gone"))
    found = session.find_order(["example.com"])
    assert found is not None
    assert found.identifiers == ("example.com",)


def test_problem_inside_an_order_that_is_none_is_still_a_problem(scene: Scene) -> None:
    made = prepare(scene)
    for error in ("boom", 7, {}, {"type": 5}):
        body = GOOD_ORDER | {"status": "invalid", "error": error}
        scene.server.script("order", Raw(body=json.dumps(body).encode()))
        order = made.session.order(made.order)
        assert order.problem_type == "malformed"
        assert order.problem


def test_finalizing_what_is_not_ready_is_told_even_if_the_order_cannot_be_read(scene: Scene) -> None:
    session = scene.session()
    order = session.new_order(["example.com"])
    scene.server.script("order", Raw(body=b"junk"))
    with pytest.raises(AcmeProblem) as caught:
        session.finalize(order, make_csr(["example.com"]))
    assert caught.value.problem_type == "orderNotReady"
