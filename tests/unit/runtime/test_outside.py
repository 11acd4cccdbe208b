"""What the settings change about connections to ACME servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.domain.orders.acme import AcmeAccount
from strongroom.engines.public.acme_client import AcmeClient
from strongroom.kernel.clock import FrozenClock, SystemClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.runtime.outside import Outside
from strongroom.runtime.settings import load_settings
from tests.factories.certificates import Made
from tests.factories.orders import FakeDns, make_ca
from tests.peers.fake_acme import FakeAcmeServer, fake_acme
from tests.peers.loopback import private_ca, server_context


@pytest.fixture
def root() -> Made:
    return private_ca()


@pytest.fixture
def acme_server(tmp_path: Path, clock: FrozenClock, root: Made) -> Iterator[FakeAcmeServer]:
    context = server_context(tmp_path, "localhost", "127.0.0.1", issuer=root)
    with fake_acme(make_ca(clock, FakeDns(clock)), context) as server:
        yield server


def ask(server: FakeAcmeServer, *, is_operators: bool, bundle: str | None = None, **settings: object) -> None:
    outside = Outside.build(load_settings(settings), SystemClock())
    account = AcmeAccount(
        directory_url=server.directory_url.replace("127.0.0.1", "localhost"),
        is_operators=is_operators,
        private_key=outside.acme.new_account_key(),
        root_bundle=bundle,
    )
    assert isinstance(outside.acme, AcmeClient)
    with contextlib.closing(outside.acme):
        outside.acme.session(account).directory()


@pytest.mark.parametrize("is_operators", [True, False])
def test_acme_ca_bundle_is_trusted_for_acme_servers(
    acme_server: FakeAcmeServer, tmp_path: Path, root: Made, is_operators: bool
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(root.pem)
    ask(acme_server, is_operators=is_operators, acme_ca_bundle=bundle, allow_private_addresses=True)


def test_acme_server_is_not_trusted_without_a_bundle(acme_server: FakeAcmeServer) -> None:
    with pytest.raises(Unavailable):
        ask(acme_server, is_operators=True)


def test_bundle_of_the_account_wins(acme_server: FakeAcmeServer, tmp_path: Path, root: Made) -> None:
    other = tmp_path / "other.pem"
    other.write_text(private_ca().pem)
    with pytest.raises(Unavailable):
        ask(acme_server, is_operators=True, acme_ca_bundle=other)
    ask(acme_server, is_operators=True, acme_ca_bundle=other, bundle=root.pem)


def test_allow_private_addresses_lets_users_name_loopback(acme_server: FakeAcmeServer, root: Made) -> None:
    with pytest.raises(Invalid) as caught:
        ask(acme_server, is_operators=False, bundle=root.pem)
    assert caught.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    ask(acme_server, is_operators=False, bundle=root.pem, allow_private_addresses=True)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_bundle_that_cannot_be_read_stops_the_start(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(Invalid) as caught:
        Outside.build(load_settings({"acme_ca_bundle": bundle}), SystemClock())
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
    assert caught.value.field == "acme_ca_bundle"
