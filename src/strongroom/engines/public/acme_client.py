"""The port ``Acme`` over the ``acme`` and ``josepy`` libraries, which are imported with the first session.

What those libraries lack is here and beside: many tries for refused nonces, ``replaces``, lists of orders, answers that
are checked member by member, and connections through the guard (decision 0023).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from strongroom.domain.orders.acme import AcmeAccount
from strongroom.engines.public import acme_keys
from strongroom.kernel.clock import Clock

if TYPE_CHECKING:
    from strongroom.engines.public.acme_network import AcmeNetwork, SessionFactory
    from strongroom.engines.public.acme_session import AcmeLibrarySession

_NETWORKS_KEPT: Final = 32


class AcmeClient:
    """Opens sessions; those with one CA share connections, directory and nonces.

    Args:
        session_factory: makes HTTP sessions behind the guard.
        trust_pem: the setting ``acme_ca_bundle``: what to trust in place of the system's certificates. An account's own
            bundle wins.
        clock: tells how old things are.
        user_agent: names this program and its version.
    """

    def __init__(
        self, session_factory: SessionFactory, *, trust_pem: str | None, clock: Clock, user_agent: str
    ) -> None:
        self._session_factory = session_factory
        self._trust_pem = trust_pem
        self._clock = clock
        self._user_agent = user_agent
        self._signers = acme_keys.Signers()
        self._lock = threading.Lock()
        self._networks: OrderedDict[tuple[str, bool, str | None], AcmeNetwork] = OrderedDict()

    def session(self, account: AcmeAccount) -> AcmeLibrarySession:
        """Return a session; no request is made.

        Raises:
            Invalid: the account's key cannot be used.
        """
        from strongroom.engines.public.acme_session import AcmeLibrarySession

        return AcmeLibrarySession(self._network(account), account, self._signers.open(account.private_key), self._clock)

    def new_account_key(self) -> str:
        """Return a new key for an account, PEM (PKCS#8)."""
        return acme_keys.new_account_key()

    def check_account_key(self, pem: str, *, field: str = acme_keys.FIELD) -> str:
        """Return the key as it is to be kept.

        Args:
            pem: PKCS#8, PKCS#1 or SEC1, unencrypted.
            field: that holds it, for messages.

        Raises:
            Invalid: it is no private key that an ACME account can have.
        """
        return acme_keys.check_account_key(pem, field=field)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for network in self._networks.values():
                network.close()
            self._networks.clear()

    def _network(self, account: AcmeAccount) -> AcmeNetwork:
        from strongroom.engines.public.acme_network import AcmeNetwork

        trust = account.root_bundle or self._trust_pem
        name = (account.directory_url, account.is_operators, trust)
        with self._lock:
            if (known := self._networks.get(name)) is not None:
                self._networks.move_to_end(name)
                return known
            made = AcmeNetwork(
                account.directory_url,
                own=self._session_factory(is_operators=account.is_operators, trust_pem=trust),
                # Where a directory sends us is its word, not the operator's: such a host has to be public.
                other=self._session_factory(is_operators=False, trust_pem=trust),
                clock=self._clock,
                user_agent=self._user_agent,
            )
            self._networks[name] = made
            if len(self._networks) > _NETWORKS_KEPT:
                self._networks.popitem(last=False)[1].close()
            return made
