"""The services about identities, put together."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.domain.identity.access_groups import AccessGroups
from strongroom.domain.identity.api_keys import ApiKeys
from strongroom.domain.identity.authenticate import Authenticator
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import Administrators
from strongroom.domain.identity.policies import Policies
from strongroom.domain.identity.ports import Digests, TokenSigner
from strongroom.domain.identity.service_ids import ServiceIds
from strongroom.domain.identity.throttle import FailedLogins
from strongroom.domain.identity.tokens import TokenExchange
from strongroom.domain.identity.users import Users
from strongroom.domain.limits import Limits
from strongroom.domain.ports import Storage
from strongroom.kernel.clock import Clock
from strongroom.kernel.ids import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityServices:
    """Everything that can be done with identities."""

    users: Users
    service_ids: ServiceIds
    api_keys: ApiKeys
    policies: Policies
    access_groups: AccessGroups
    tokens: TokenExchange
    authenticator: Authenticator
    signer: TokenSigner
    generations: Generations

    @classmethod
    def build(
        cls,
        *,
        storage: Storage,
        clock: Clock,
        limits: Limits,
        instance: Instance,
        digests: Digests,
        signer: TokenSigner,
        issuer: str,
    ) -> IdentityServices:
        """Return the services over one store; ``issuer`` is ``iss`` of the tokens."""
        generations = Generations(clock)
        administrators = Administrators()
        api_keys = ApiKeys(
            clock=clock, limits=limits, digests=digests, generations=generations, administrators=administrators
        )
        return cls(
            users=Users(clock=clock, digests=digests, generations=generations, administrators=administrators),
            service_ids=ServiceIds(
                clock=clock, generations=generations, administrators=administrators, api_keys=api_keys
            ),
            api_keys=api_keys,
            policies=Policies(clock=clock, generations=generations, administrators=administrators),
            access_groups=AccessGroups(clock=clock, generations=generations, administrators=administrators),
            tokens=TokenExchange(
                storage=storage,
                clock=clock,
                limits=limits,
                instance=instance,
                digests=digests,
                signer=signer,
                issuer=issuer,
                failed_logins=FailedLogins(limits.failed_logins_per_minute, clock),
            ),
            authenticator=Authenticator(storage=storage, clock=clock, signer=signer, generations=generations),
            signer=signer,
            generations=generations,
        )
