"""The other sides of all providers; every test of the contract runs against each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.dns.backends import Backend, Rfc2136Backend, Rfc2136ZoneBackend
from tests.contract.dns.vendor_backends import (
    AkamaiBackend,
    ClassicBackend,
    CloudflareBackend,
    CloudInternetServicesBackend,
    ExecBackend,
    LexiconBackend,
    PowerDnsBackend,
    Route53Backend,
    VendorBackend,
)
from tests.peers.bind import BindServer
from tests.peers.dns_vendors import Vendors, running_vendors

BACKENDS = [
    pytest.param("rfc2136_backend", id="rfc2136", marks=pytest.mark.peers),
    pytest.param("rfc2136_zone_backend", id="rfc2136 with a zone", marks=pytest.mark.peers),
    pytest.param(CloudInternetServicesBackend, id="cloud internet services"),
    pytest.param(ClassicBackend, id="classic infrastructure"),
    pytest.param(CloudflareBackend, id="cloudflare"),
    pytest.param(Route53Backend, id="route 53"),
    pytest.param(PowerDnsBackend, id="powerdns"),
    pytest.param(AkamaiBackend, id="akamai"),
    pytest.param(LexiconBackend, id="lexicon"),
    pytest.param("exec_backend", id="exec"),
]


@pytest.fixture
def rfc2136_backend(bind: BindServer) -> Backend:
    return Rfc2136Backend(bind)


@pytest.fixture
def rfc2136_zone_backend(bind: BindServer) -> Backend:
    return Rfc2136ZoneBackend(bind)


@pytest.fixture
def exec_backend(tmp_path: Path) -> Backend:
    return ExecBackend(tmp_path)


@pytest.fixture(scope="session")
def vendors() -> Iterator[Vendors]:
    with running_vendors() as running:
        yield running


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    chosen: str | type[VendorBackend] = request.param
    if isinstance(chosen, str):
        yield request.getfixturevalue(chosen)
        return
    made = chosen(request.getfixturevalue("vendors"))
    yield made
    made.context().http.close()
