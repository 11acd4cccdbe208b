"""What an account does at a CA: the adapter against a pretended CA that has what Pebble lacks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from strongroom.domain.orders.acme import AcmeProblem, AcmeStatus
from strongroom.kernel.errors import Unavailable
from strongroom.pki.load import load_certificates
from strongroom.pki.renewal_id import renewal_identifier
from tests.peers.acme_ca import LETS_ENCRYPT
from tests.peers.fake_acme import Raw
from tests.unit.engines.public.conftest import Scene, make_csr

HOUR = timedelta(hours=1)


def test_order_becomes_a_certificate_with_its_chains(scene: Scene) -> None:
    session = scene.session()
    names = ["example.com", "www.example.com", "*.example.com"]
    valid = scene.issue(session, *names)
    assert valid.status is AcmeStatus.VALID
    assert set(valid.identifiers) == set(names)
    assert valid.certificate_url is not None
    default, alternate = session.certificate(valid.certificate_url)
    assert default.issuer_names == ("Example Issuing E1", "Example Root X1")
    assert alternate.issuer_names == ("Example Issuing E1", "Example Root X2")
    assert default.leaf == alternate.leaf
    assert len(default.intermediates) == 1
    assert scene.server.agents == {"Strongroom/tests"}


def test_account_is_found_by_its_key_only_once_it_exists(scene: Scene) -> None:
    session = scene.session(registered=False)
    assert session.find_account() is None
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["example.com"])
    assert caught.value.problem_type == "accountDoesNotExist"
    assert session.register() == session.find_account()
    assert len(scene.ca.accounts) == 1


def test_contact_is_registered(scene: Scene) -> None:
    scene.account = replace(scene.account, contact=("mailto:pki@example.com",))
    scene.session()
    assert [account.contact for account in scene.ca.accounts.values()] == [("mailto:pki@example.com",)]


def test_known_account_is_not_asked_for_again(scene: Scene) -> None:
    scene.account = replace(scene.account, url=scene.session().find_account())
    before = scene.server.posts["new-account"]
    scene.session(registered=False).new_order(["example.com"])
    assert scene.server.posts["new-account"] == before


@pytest.mark.parametrize(
    "written", ["c2VjcmV0LXNlY3JldC0_Pz8", "c2VjcmV0LXNlY3JldC0/Pz8=", "  c2VjcmV0LXNlY3JldC0/Pz8 "]
)
def test_external_account_is_bound_however_its_key_is_written(scene: Scene, written: str) -> None:
    scene.ca.eab_keys["kid-7"] = "c2VjcmV0LXNlY3JldC0_Pz8"
    scene.account = replace(scene.account, eab_key_id="kid-7", eab_hmac_key=written)
    assert scene.session().directory().needs_external_account
    assert [account.eab_key_id for account in scene.ca.accounts.values()] == ["kid-7"]


@pytest.mark.parametrize("hmac_key", [None, "", "no base64!", "A"])
def test_external_account_without_a_usable_key_is_said_before_anything_is_sent(
    scene: Scene, hmac_key: str | None
) -> None:
    scene.account = replace(scene.account, eab_key_id="kid-7", eab_hmac_key=hmac_key)
    with pytest.raises(AcmeProblem) as caught:
        scene.session()
    assert caught.value.problem_type == "externalAccountRequired"
    assert scene.server.posts["new-account"] == 0


def test_profile_is_sent_where_the_ca_has_it(scene: Scene) -> None:
    scene.ca.profiles = {"classic": "as ever", "shortlived": "six days"}
    session = scene.session()
    assert session.directory().profiles == ("classic", "shortlived")
    session.new_order(["a.example.com"], profile="shortlived")
    session.new_order(["b.example.com"], profile="unheard-of")
    session.new_order(["c.example.com"])
    assert [order.profile for order in scene.ca.orders] == ["shortlived", None, None]


def test_replaced_certificate_is_named_where_the_ca_offers_renewal_windows(scene: Scene) -> None:
    session = scene.session()
    url = scene.issue(session, "example.com").certificate_url
    assert url is not None
    identifier = renewal_identifier(load_certificates(session.certificate(url)[0].leaf, field="certificate")[0])
    session.new_order(["example.com"], replaces=identifier)
    assert scene.ca.orders[-1].replaces == identifier
    # Another order replaces it already: this one is placed without.
    session.new_order(["example.com", "www.example.com"], replaces=identifier)
    assert scene.ca.orders[-1].replaces is None
    assert len(scene.ca.orders) == 3


def test_replaced_certificate_is_not_named_where_the_ca_knows_nothing_of_it(scene: Scene) -> None:
    scene.ca.offers_renewal_info = False
    session = scene.session()
    session.new_order(["example.com"], replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
    assert scene.ca.orders[-1].replaces is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [(timedelta(minutes=1), HOUR), (timedelta(hours=6), 6 * HOUR), (timedelta(days=20), 24 * HOUR)],
)
def test_renewal_window_says_when_to_ask_again_within_bounds(
    scene: Scene, said: timedelta, expected: timedelta
) -> None:
    scene.ca.renewal_retry_after = said
    session = scene.session()
    url = scene.issue(session, "example.com").certificate_url
    assert url is not None
    leaf = session.certificate(url)[0].leaf
    window = session.renewal_window(leaf)
    assert window is not None
    assert scene.clock.now() < window.start < window.end
    assert window.check_again == expected
    assert window.explanation_url is None
    scene.server.changes["renewal-info"] = {"explanationURL": "https://www.example.com/why"}
    explained = session.renewal_window(leaf)
    assert explained is not None
    assert explained.explanation_url == "https://www.example.com/why"


def test_renewal_window_needs_an_offer(scene: Scene) -> None:
    scene.ca.offers_renewal_info = False
    session = scene.session()
    url = scene.issue(session, "example.com").certificate_url
    assert url is not None
    assert session.renewal_window(session.certificate(url)[0].leaf) is None
    assert not session.directory().has_renewal_info


def test_processing_takes_its_time_and_says_how_long(scene: Scene) -> None:
    scene.ca.processing_delay = timedelta(minutes=10)
    scene.server.retry_after = timedelta(seconds=42)
    session = scene.session()
    order = scene.issue(session, "example.com")
    assert order.status is AcmeStatus.PROCESSING
    assert order.retry_after == timedelta(seconds=42)
    again = session.finalize(order, make_csr(["example.com"]))
    assert again.status is AcmeStatus.PROCESSING
    scene.clock.advance(timedelta(minutes=11))
    done = session.order(order.url)
    assert done.status is AcmeStatus.VALID
    assert done.retry_after is None
    assert session.finalize(order, make_csr(["example.com"])) == done
    assert [item.finalized for item in scene.ca.orders] == [1]


def test_authorization_shows_dns_01_alone(scene: Scene) -> None:
    session = scene.session()
    order = session.new_order(["*.example.com"])
    authorization = session.authorization(order.authorizations[0])
    assert authorization.domain == "example.com"
    assert authorization.is_wildcard
    assert authorization.challenge_status is AcmeStatus.PENDING
    assert authorization.txt_value == scene.ca.orders[0].authorizations[0].txt_value


def test_authorization_without_dns_01_has_no_challenge(scene: Scene) -> None:
    session = scene.session()
    order = session.new_order(["example.com"])
    scene.server.changes["authorization"] = {"challenges": [{"type": "http-01"}, {"type": 7}, {}]}
    authorization = session.authorization(order.authorizations[0])
    assert authorization.challenge_url is None
    assert authorization.txt_value is None


def test_challenge_is_answered_once(scene: Scene) -> None:
    scene.ca.validation_delay = HOUR
    session = scene.session()
    order = session.new_order(["example.com"])
    challenge_url = session.authorization(order.authorizations[0]).challenge_url
    assert challenge_url is not None
    session.answer(challenge_url)
    session.answer(challenge_url)
    assert scene.ca.orders[0].authorizations[0].answered == 1
    assert session.authorization(order.authorizations[0]).challenge_status is not AcmeStatus.PENDING


def test_failed_validation_says_why(scene: Scene) -> None:
    scene.ca.failing["example.com"] = "caa"
    session = scene.session()
    order = scene.prove(session, session.new_order(["example.com"]))
    assert order.status is AcmeStatus.INVALID
    assert order.problem_type == "caa"
    failed = session.authorization(order.authorizations[0])
    assert failed.status is AcmeStatus.INVALID
    assert failed.problem_type == "caa"
    assert failed.problem is not None
    assert "example.com" in failed.problem


def test_rejected_names_are_told_one_by_one(scene: Scene) -> None:
    scene.ca.rejected |= {"a.example.com", "b.example.com"}
    session = scene.session()
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["a.example.com", "b.example.com", "c.example.com"])
    assert caught.value.problem_type == "rejectedIdentifier"
    assert caught.value.identifiers == ("a.example.com", "b.example.com")
    assert caught.value.is_final


def test_rate_limit_says_how_long_to_wait(scene: Scene) -> None:
    scene.ca.limits = {"new_order": replace(LETS_ENCRYPT["new_order"], count=1)}
    session = scene.session()
    session.new_order(["a.example.com"])
    with pytest.raises(AcmeProblem) as caught:
        session.new_order(["b.example.com"])
    assert caught.value.problem_type == "rateLimited"
    assert caught.value.status == 429
    assert caught.value.retry_after == timedelta(hours=3)
    assert not caught.value.is_final


def test_algorithm_that_the_ca_does_not_take_is_told(scene: Scene) -> None:
    scene.server.algorithms = {"RS256"}
    with pytest.raises(AcmeProblem) as caught:
        scene.session()
    assert caught.value.problem_type == "badSignatureAlgorithm"
    assert "ES256" in caught.value.detail
    assert caught.value.is_final


def test_outage_is_unavailable(scene: Scene) -> None:
    session = scene.session()
    scene.ca.outage_until = scene.clock.now() + HOUR
    with pytest.raises(Unavailable):
        session.new_order(["example.com"])
    scene.clock.advance(HOUR)
    assert session.new_order(["example.com"]).status is AcmeStatus.PENDING


def test_order_is_found_again_over_several_pages(scene: Scene) -> None:
    session = scene.session()
    for number in range(5):
        session.new_order([f"n{number}.example.com"])
    placed = session.new_order(["lost.example.com", "*.lost.example.com"])
    for number in range(5, 9):
        session.new_order([f"n{number}.example.com"])
    found = session.find_order(["*.lost.example.com", "Lost.example.com"])
    assert found is not None
    assert found.url == placed.url
    assert session.find_order(["unknown.example.com"]) is None


def test_order_that_waits_is_found_before_one_that_is_done(scene: Scene) -> None:
    session = scene.session()
    waiting = session.new_order(["example.com"])
    scene.issue(session, "example.com")
    found = session.find_order(["example.com"])
    assert found is not None
    assert found.url == waiting.url


def test_order_that_is_done_is_found_for_an_hour(scene: Scene) -> None:
    session = scene.session()
    done = scene.issue(session, "example.com")
    scene.clock.advance(timedelta(minutes=59))
    found = session.find_order(["example.com"])
    assert found is not None
    assert found.url == done.url
    scene.clock.advance(timedelta(minutes=2))
    assert session.find_order(["example.com"]) is None


def test_failed_order_is_not_found(scene: Scene) -> None:
    scene.ca.failing["example.com"] = "dns"
    session = scene.session()
    scene.prove(session, session.new_order(["example.com"]))
    assert session.find_order(["example.com"]) is None


def test_ca_that_lists_no_orders_finds_none(scene: Scene) -> None:
    scene.ca.lists_orders = False
    session = scene.session()
    session.new_order(["example.com"])
    assert session.find_order(["example.com"]) is None


def test_order_is_found_behind_many_that_others_placed_since(scene: Scene) -> None:
    scene.server.page = 50
    session = scene.session()
    lost = session.new_order(["lost.example.com"])
    account = next(iter(scene.ca.accounts.values()))
    for number in range(120):
        scene.ca.new_order(account, [f"n{number}.example.com"])
    found = session.find_order(["lost.example.com"])
    assert found is not None
    assert found.url == lost.url


def test_list_that_leads_round_in_a_circle_ends(scene: Scene) -> None:
    session = scene.session()
    session.new_order(["example.com"])
    account = next(iter(scene.ca.accounts.values()))
    page = f"{scene.server.base}/orders/{account.id}/0"
    for _ in range(3):
        scene.server.script("orders", _page(f'<{page}>; rel="next"'))
    assert session.find_order(["example.com"]) is None
    assert len(scene.server.scripted["orders"]) == 2


def test_ca_may_give_the_same_order_again(scene: Scene) -> None:
    scene.ca.reuses_orders = True
    session = scene.session()
    assert session.new_order(["example.com"]).url == session.new_order(["example.com"]).url


def test_proof_may_hold_for_the_next_order(scene: Scene) -> None:
    scene.ca.reuses_authorizations = timedelta(days=30)
    session = scene.session()
    scene.issue(session, "example.com")
    order = session.new_order(["example.com"])
    assert order.status is AcmeStatus.READY


def test_authorization_is_given_up_and_may_have_been_before(scene: Scene) -> None:
    session = scene.session()
    order = session.new_order(["example.com"])
    session.deactivate(order.authorizations[0])
    assert session.authorization(order.authorizations[0]).status is AcmeStatus.DEACTIVATED
    scene.server.script("authorization", scene.server.problem("malformed", "it has ended"))
    session.deactivate(order.authorizations[0])


def test_refusal_to_give_up_a_live_authorization_is_told(scene: Scene) -> None:
    session = scene.session()
    order = session.new_order(["example.com"])
    scene.server.script("authorization", scene.server.problem("unauthorized", "not yours", status=403))
    with pytest.raises(AcmeProblem, match="not yours"):
        session.deactivate(order.authorizations[0])


def test_libraries_are_imported_with_the_first_session_only() -> None:
    program = (
        "import sys\n"
        "from strongroom.engines.public.acme_client import AcmeClient\n"
        "client = AcmeClient(None, trust_pem=None, clock=None, user_agent='x')\n"
        "client.check_account_key(client.new_account_key())\n"
        "assert not {'acme', 'josepy', 'requests'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def _page(link: str) -> Raw:
    return Raw(body=b'{"orders": []}', headers={"Link": link})
