"""The other sides of all providers; every test of the contract runs against each."""

from __future__ import annotations

import pytest

from tests.contract.dns.backends import Backend, Rfc2136Backend, Rfc2136ZoneBackend
from tests.peers.bind import BindServer

BACKENDS = [
    pytest.param("rfc2136_backend", id="rfc2136", marks=pytest.mark.peers),
    pytest.param("rfc2136_zone_backend", id="rfc2136 with a zone", marks=pytest.mark.peers),
]


@pytest.fixture
def rfc2136_backend(bind: BindServer) -> Backend:
    return Rfc2136Backend(bind)


@pytest.fixture
def rfc2136_zone_backend(bind: BindServer) -> Backend:
    return Rfc2136ZoneBackend(bind)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    made: Backend = request.getfixturevalue(request.param)
    return made
