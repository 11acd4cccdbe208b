"""Signed updates of a real BIND: whose key may do what, and which zone is found."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator

import pytest

from strongroom.dns.providers import Providers
from strongroom.dns.rfc2136 import ALGORITHMS
from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.dns import DnsProblem, DnsProvider, DnsRefusal, TxtRecord
from tests.factories.dns import make_context
from tests.peers.bind import BindServer, Key
from tests.peers.needs import require

pytestmark = pytest.mark.peers


@pytest.fixture
def record() -> TxtRecord:
    return TxtRecord(name=f"_acme-challenge.{secrets.token_hex(4)}.example.com", value=secrets.token_urlsafe(32))


@pytest.fixture(scope="module", params=ALGORITHMS)
def bind_of_algorithm(request: pytest.FixtureRequest) -> Iterator[BindServer]:
    server = BindServer(require("bind9"), key=Key(name="orders", algorithm=request.param))
    try:
        yield server
    finally:
        server.close()


def test_every_algorithm_is_understood(bind_of_algorithm: BindServer, record: TxtRecord) -> None:
    _open(bind_of_algorithm, bind_of_algorithm.key).present(record)

    assert bind_of_algorithm.txt(record.name) == [record.value]


def test_key_for_one_name_may_write_that_name_and_no_other(bind: BindServer, record: TxtRecord) -> None:
    provider = _open(bind, bind.narrow)
    own = TxtRecord(name="_acme-challenge.narrow.example.com", value=record.value)

    provider.present(own)

    assert bind.txt(own.name) == [own.value]
    provider.cleanup(own, None)
    assert bind.txt(own.name) == []
    assert _refusal(provider, record).refusal is DnsRefusal.AUTHORIZATION


@pytest.mark.parametrize(
    ("name", "says"),
    [("strongroom-orders", "has another secret for the key"), ("nobody", "does not know the key nobody")],
)
def test_wrong_key_is_told_from_a_wrong_secret(bind: BindServer, record: TxtRecord, name: str, says: str) -> None:
    wrong = Key(name=name, secret=base64.b64encode(b"planted").decode())

    problem = _refusal(_open(bind, wrong), record)

    assert problem.refusal is DnsRefusal.AUTHORIZATION
    assert says in problem.detail
    assert wrong.secret not in problem.detail


def test_server_that_refuses_says_no_to_a_key_that_it_knows(bind: BindServer, record: TxtRecord) -> None:
    with bind.refusing():
        problem = _refusal(_open(bind, bind.key), record)

    assert problem.refusal is DnsRefusal.AUTHORIZATION
    assert record.name in problem.detail


def test_record_goes_to_the_nearest_zone(bind: BindServer) -> None:
    record = TxtRecord(name=f"{secrets.token_hex(4)}.acme.example.net", value="one")
    before = bind.serial("example.net")

    _open(bind, bind.key).present(record)

    assert bind.txt(record.name) == ["one"]
    assert bind.serial("example.net") == before


def test_name_in_a_zone_of_another_server_is_refused(bind: BindServer) -> None:
    record = TxtRecord(name="_acme-challenge.www.elsewhere.example.net", value="one")

    assert _refusal(_open(bind, bind.key), record).refusal is DnsRefusal.NO_ZONE


def test_zone_that_the_server_does_not_hold_is_refused(bind: BindServer) -> None:
    record = TxtRecord(name="_acme-challenge.www.nowhere.example", value="one")

    problem = _refusal(_open(bind, bind.key, zone="nowhere.example"), record)

    assert problem.refusal is DnsRefusal.NO_ZONE
    assert "NOTAUTH" in problem.detail


def test_alias_in_the_way_is_told(bind: BindServer, record: TxtRecord) -> None:
    bind.add_cname(record.name, "end.acme.example.net")

    problem = _refusal(_open(bind, bind.key), record)

    assert problem.refusal is DnsRefusal.ERROR
    assert "holds a CNAME record" in problem.detail


def test_value_longer_than_one_string_is_written_and_removed(bind: BindServer, record: TxtRecord) -> None:
    long = TxtRecord(name=record.name, value="a" * 300)
    provider = _open(bind, bind.key)

    provider.present(long)

    assert bind.txt(long.name) == [long.value]
    provider.cleanup(long, None)
    assert bind.txt(long.name) == []


def _open(bind: BindServer, key: Key, zone: str = "") -> DnsProvider:
    providers = Providers(make_context())
    values = {
        "rfc2136_server": bind.address,
        "rfc2136_port": bind.port,
        "rfc2136_tsig_key_name": key.name,
        "rfc2136_tsig_algorithm": key.algorithm,
        "rfc2136_tsig_secret": key.secret,
        "rfc2136_zone": zone,
    }
    return providers.provider(ConfigType.DNS_RFC2136, providers.check(ConfigType.DNS_RFC2136, values))


def _refusal(provider: DnsProvider, record: TxtRecord) -> DnsProblem:
    with pytest.raises(DnsProblem) as refused:
        provider.present(record)
    return refused.value
