"""Every word that ``issuance_info.error_code`` may hold, from what makes it to what people read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from strongroom.domain.orders.dns import DnsRefusal
from strongroom.domain.orders.faults import FaultCode
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Internal, Invalid, Unavailable
from strongroom.pki.keys import KeySpec
from tests.factories.orders import Hook
from tests.factories.public_world import PublicWorld, public_world
from tests.peers.acme_ca import Limit

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
VALIDATE = {"action_type": "public_cert_action_validate_dns_challenge"}
CASES: dict[FaultCode, tuple[Callable[[PublicWorld], str], str, str | None]] = {}
"""What brings the first order of a world to a bad end; a part of the message; the number of the reference."""


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[PublicWorld]:
    with public_world(prepared_data_dir, data_dir, clock) as made:
        made.configure()
        yield made


def case(
    code: FaultCode, says: str, reference: str | None = None
) -> Callable[[Callable[[PublicWorld], str]], Callable[[PublicWorld], str]]:
    """Note how a code comes about."""

    def note(make: Callable[[PublicWorld], str]) -> Callable[[PublicWorld], str]:
        CASES[code] = make, says, reference
        return make

    return note


def ordered(world: PublicWorld, **changes: Any) -> str:
    answer = world.order(**changes)
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def raises(call: str, error: Exception) -> Hook:
    """Return a hook that lets a call fail."""

    def hook(when: str, name: str) -> None:
        if (when, name) == ("before", call):
            raise error

    return hook


@case(FaultCode.CA_UNREACHABLE, "The CA my-ca: ")
def _(world: PublicWorld) -> str:
    world.ca.outage_until = world.clock.now() + DAY
    return _over_an_hour(world)


@case(FaultCode.CA_RATE_LIMITED, "The CA my-ca refused (rateLimited): ")
def _(world: PublicWorld) -> str:
    world.ca.limits = {"new_order": Limit(count=1, per=DAY)}
    assert world.order("first", common_name="first.example.com").status == 201
    world.run()
    secret_id = ordered(world)
    world.run()
    return secret_id


@case(FaultCode.CA_REFUSED, "The CA my-ca refused (externalAccountRequired): ")
def _(world: PublicWorld) -> str:
    world.ca.failing["www.example.com"] = "externalAccountRequired"
    return _over_an_hour(world)


@case(FaultCode.CAA_FORBIDS, "The CA my-ca refused (caa): www.example.com: ")
def _(world: PublicWorld) -> str:
    world.ca.failing["www.example.com"] = "caa"
    return _over_an_hour(world)


@case(FaultCode.NAME_REJECTED, "The CA my-ca refused (rejectedIdentifier): ")
def _(world: PublicWorld) -> str:
    world.ca.rejected.add("www.example.com")
    return _over_an_hour(world)


@case(FaultCode.CA_ANSWER_UNUSABLE, "it handed over no certificate")
def _(world: PublicWorld) -> str:
    secret_id = ordered(world)
    world.run_to("download")
    for id, issued in world.ca.certificates.items():
        world.ca.certificates[id] = replace(issued, chains=())
    world.run()
    return secret_id


@case(FaultCode.CA_NOT_CONFIGURED, "The CA configuration my-ca of the certificate does not exist any more.", "07006")
def _(world: PublicWorld) -> str:
    return _without_configuration(world, "my-ca")


@case(FaultCode.DNS_NOT_CONFIGURED, "The DNS configuration my-dns of the certificate does not exist", "07009")
def _(world: PublicWorld) -> str:
    return _without_configuration(world, "my-dns")


@case(FaultCode.DNS_UNREACHABLE, "The DNS configuration my-dns: the DNS provider cannot be reached", "07047")
def _(world: PublicWorld) -> str:
    world.dns.outage_until = world.clock.now() + 50 * MINUTE
    return _over_an_hour(world)


@case(FaultCode.DNS_AUTHORIZATION, "The DNS configuration my-dns: the provider refuses", "07048")
def _(world: PublicWorld) -> str:
    return _refused_by_dns(world, DnsRefusal.AUTHORIZATION)


@case(FaultCode.DNS_NO_ZONE, "no zone holds _acme-challenge.www.example.edu", "07052")
def _(world: PublicWorld) -> str:
    secret_id = ordered(world, common_name="www.example.edu")
    world.run()
    return secret_id


@case(FaultCode.DNS_ERROR, "The DNS configuration my-dns: the provider refuses", "07049")
def _(world: PublicWorld) -> str:
    return _refused_by_dns(world, DnsRefusal.ERROR)


@case(FaultCode.DNS_NOT_PROPAGATED, "was not seen within 10 minutes on ns1.example.net (192.0.2.1)")
def _(world: PublicWorld) -> str:
    world.dns.lag = DAY
    return _over_an_hour(world)


@case(FaultCode.DNS_WRONG_VALUE, 'holds "nonsense" on the authoritative servers, not the value "')
def _(world: PublicWorld) -> str:
    secret_id = ordered(world, dns="manual")
    world.dns.publish("_acme-challenge.www.example.com", "nonsense")
    assert world.server.request("POST", f"/api/v2/secrets/{secret_id}/actions", VALIDATE).status == 201
    world.run(MINUTE)
    return secret_id


@case(FaultCode.DNS_VALIDATION, "The CA my-ca could not validate www.example.com (unauthorized): ")
def _(world: PublicWorld) -> str:
    world.ca.failing["www.example.com"] = "unauthorized"
    secret_id = _over_an_hour(world)
    assert len(world.ca.orders) == 2, "one more try, and no more"
    return secret_id


@case(FaultCode.ADDRESS_REFUSED, "The CA my-ca: the address 10.0.0.1 is private")
def _(world: PublicWorld) -> str:
    refusal = Invalid(ErrorCode.DESTINATION_NOT_ALLOWED, "the address 10.0.0.1 is private")
    world.acme.hooks.append(raises("new_order", refusal))
    return _over_an_hour(world)


@case(FaultCode.CHALLENGE_EXPIRED, "The challenges have lapsed")
def _(world: PublicWorld) -> str:
    secret_id = ordered(world, dns="manual")
    world.run(8 * DAY, timedelta(hours=6))
    assert world.events().count("secret_challenge_expiring") <= 1
    return secret_id


@case(FaultCode.CANCELLED, "The order was cancelled.")
def _(world: PublicWorld) -> str:
    world.dns.lag = DAY
    secret_id = ordered(world)
    world.run_to("propagate")
    (order,) = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
    answer = world.server.request("POST", f"/api/v2/jobs/{order['id']}/actions", {"action_type": "cancel"})
    assert answer.status < 300, answer.raw
    world.run()
    return secret_id


@case(FaultCode.KEY_NOT_MADE, "The private key could not be made: Too many wait.")
def _(world: PublicWorld) -> str:
    def take(spec: KeySpec) -> NoReturn:
        raise Unavailable(ErrorCode.UNAVAILABLE, "Too many wait.")

    world.server.container.keys.take = take  # type: ignore[method-assign]
    return _over_an_hour(world)


@case(FaultCode.SERVER_ERROR, "The server itself could not go on; its log says why, under the job's id ")
def _(world: PublicWorld) -> str:
    def hook(when: str, name: str) -> None:
        if (when, name) == ("before", "new_order"):
            raise Internal(ErrorCode.INTERNAL, "for the log alone")

    world.acme.hooks.append(hook)
    secret_id = ordered(world)
    world.run(timedelta(hours=2), MINUTE)
    return secret_id


@pytest.mark.parametrize("code", FaultCode)
def test_first_order_ends_with_the_word_and_what_to_make_of_it(world: PublicWorld, code: FaultCode) -> None:
    make, says, reference = CASES[code]
    secret_id = make(world)
    metadata = world.metadata(secret_id)
    info = metadata["issuance_info"]
    assert (metadata["state"], info["state"], info["error_code"]) == (3, 3, code.value), metadata
    assert says in info["error_message"]
    assert info.get("reference_code") == reference
    assert world.events()[-1] == "secret_creation_failed"
    (order,) = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
    if code is not FaultCode.CANCELLED:
        assert order["last_error"]["code"] == code.value
        assert order["last_error"]["message"] == info["error_message"]
    world.dns.outage_until = world.dns.refusal = None
    world.run(5 * MINUTE)
    assert [record for record in world.dns.left if record.value != "nonsense"] == _left_by(code, world)


def _left_by(code: FaultCode, world: PublicWorld) -> list[Any]:
    """Return what nobody can remove: the credentials for it are gone."""
    return world.dns.presented if code is FaultCode.DNS_NOT_CONFIGURED else []


def _over_an_hour(world: PublicWorld) -> str:
    secret_id = ordered(world)
    world.run(timedelta(hours=1), MINUTE / 2)
    return secret_id


def _refused_by_dns(world: PublicWorld, refusal: DnsRefusal) -> str:
    world.dns.refusal = refusal
    return _over_an_hour(world)


def _without_configuration(world: PublicWorld, name: str) -> str:
    world.dns.lag = 3 * MINUTE
    secret_id = ordered(world)
    world.run_to("propagate")
    assert world.server.request("DELETE", f"/api/v2/configurations/{name}").status == 204
    world.run(timedelta(hours=1), MINUTE / 2)
    return secret_id
