"""The ACME adapter with a pretended CA behind real HTTP on loopback, all on one clock."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.domain.orders.acme import AcmeAccount, AcmeOrder, AcmeSession
from strongroom.domain.orders.dns import TxtRecord
from strongroom.engines.public.acme_client import AcmeClient
from strongroom.kernel.clock import FrozenClock
from strongroom.net.guard import Guard
from strongroom.net.requests_adapter import guarded_session
from tests.factories.orders import FakeDns, make_ca
from tests.peers.acme_ca import AcmeCa
from tests.peers.fake_acme import FakeAcmeServer, fake_acme


class Scene:
    """A server, its DNS, and a client with an account there; the server is the operator's, so it may be on loopback."""

    def __init__(self, clock: FrozenClock, dns: FakeDns, server: FakeAcmeServer) -> None:
        self.clock = clock
        self.dns = dns
        self.server = server
        factory = functools.partial(guarded_session, Guard(allow_private=False))
        self.client = AcmeClient(factory, trust_pem=None, clock=clock, user_agent="Strongroom/tests")
        self.account = AcmeAccount(
            directory_url=server.directory_url, is_operators=True, private_key=self.client.new_account_key()
        )

    @property
    def ca(self) -> AcmeCa:
        """Return what decides."""
        return self.server.ca

    def session(self, *, registered: bool = True) -> AcmeSession:
        """Return a session of the account."""
        session = self.client.session(self.account)
        if registered:
            session.register()
        return session

    def prove(self, session: AcmeSession, order: AcmeOrder) -> AcmeOrder:
        """Publish what the order wants to see, and answer its challenges."""
        for url in order.authorizations:
            authorization = session.authorization(url)
            assert authorization.txt_value is not None
            assert authorization.challenge_url is not None
            name = f"_acme-challenge.{authorization.domain}"
            self.dns.provider().present(TxtRecord(name=name, value=authorization.txt_value))
            session.answer(authorization.challenge_url)
        return session.order(order.url)

    def issue(self, session: AcmeSession, *names: str) -> AcmeOrder:
        """Order a certificate and see it through."""
        return session.finalize(self.prove(session, session.new_order(names)), make_csr(names))


def make_csr(names: Sequence[str]) -> bytes:
    """Return a signing request for names."""
    key = ec.generate_private_key(ec.SECP256R1())
    extension = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.add_extension(extension, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture
def scene(clock: FrozenClock) -> Iterator[Scene]:
    dns = FakeDns(clock)
    with fake_acme(make_ca(clock, dns)) as server:
        made = Scene(clock, dns, server)
        yield made
        made.client.close()
