"""Builds the object graph by hand; the only module that sees everything."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from strongroom import __version__
from strongroom.api.app import build_app
from strongroom.api.client_address import ClientAddress
from strongroom.api.edge import Edge
from strongroom.api.extensions.instance import ROTATE_MASTER_KEY
from strongroom.api.public.authorities import OPERATIONS as CA_FILES
from strongroom.api.routing import Router
from strongroom.api.services import Services
from strongroom.api.tables import OPERATIONS
from strongroom.domain.audit.service import AuditTrail, AuditVerification, Checkpoints
from strongroom.domain.authorities.addresses import Addresses
from strongroom.domain.authorities.context import AuthorityContext
from strongroom.domain.authorities.keys import AuthorityKeys
from strongroom.domain.authorities.pins import Pins
from strongroom.domain.authorities.services import AuthorityServices
from strongroom.domain.configurations.service import Configurations
from strongroom.domain.configurations.vault import ConfigurationVault
from strongroom.domain.engine import Engine, Work
from strongroom.domain.groups.service import SecretGroups
from strongroom.domain.identity.services import IdentityServices
from strongroom.domain.jobs.service import JobService
from strongroom.domain.jobs.steps import JobHandler, OneStep
from strongroom.domain.orders.acme import Acme
from strongroom.domain.orders.context import OrderContext
from strongroom.domain.orders.dns import DnsProviders, Propagation
from strongroom.domain.orders.ledger import Ledger
from strongroom.domain.orders.services import OrderServices
from strongroom.domain.orders.views import OrderViews
from strongroom.domain.secrets.context import Context
from strongroom.domain.secrets.events import Outbox
from strongroom.domain.secrets.lifecycle import ExpirySteps, RotationSteps, due_for_expiry, due_for_rotation
from strongroom.domain.secrets.model import SecretType
from strongroom.domain.secrets.services import SecretServices
from strongroom.domain.secrets.vault import Vault
from strongroom.engines.public.public_suffixes import registered_domain
from strongroom.engines.registry import build_engines
from strongroom.hsm.key_token import Pkcs11KeyToken
from strongroom.kernel.clock import Clock
from strongroom.kernel.ids import new_uuid
from strongroom.kernel.secret import Secret
from strongroom.runtime.bootstrap import OpenStore, clock_of, open_store, public_url
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.helper_processes import HelperProcesses
from strongroom.runtime.key_pool import KeyPool
from strongroom.runtime.keys_refresh import KeysRefresh
from strongroom.runtime.lanes import Lane
from strongroom.runtime.lint import Linter
from strongroom.runtime.logging import logger
from strongroom.runtime.master_key import MasterKeyRotation
from strongroom.runtime.metrics import Metrics
from strongroom.runtime.notices import DeliveryWatch, build_notifications
from strongroom.runtime.outside import Outside, PublicCertificates
from strongroom.runtime.server_keys import store_keys, stored_kek
from strongroom.runtime.settings import Settings, describe
from strongroom.runtime.tls import ServerTls
from strongroom.runtime.worker import Periodic, Worker
from strongroom.sealing.passwords import generate_password


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A server, put together and ready to run."""

    settings: Settings
    clock: Clock
    store: OpenStore
    services: Services
    edge: Edge
    app: Router
    ca_files: Router
    worker: Worker
    helpers: HelperProcesses
    keys: KeyPool
    tls: ServerTls | None
    outside: Outside

    def close(self) -> None:
        """Let go of everything, in the order that loses nothing."""
        self.worker.stop()
        self.edge.close()
        self.keys.close()
        self.helpers.close()
        self.outside.close()
        self.store.storage.close()


def build(
    settings: Settings,
    directory: DataDir,
    *,
    port: int | None = None,
    worker: int = 0,
    clock: Clock | None = None,
    acme: Acme | None = None,
    dns: DnsProviders | None = None,
    propagation: Propagation | None = None,
) -> Container:
    """Open the store and put the server together; the caller holds the data directory.

    Args:
        settings: of the operator.
        directory: held by the caller.
        port: that is really listened on.
        worker: which of several processes this is.
        clock: another than the machine's.
        acme: in place of ACME servers, as are the next two in place of DNS providers and name servers.
        dns: see above.
        propagation: see above.
    """
    clock = clock if clock is not None else clock_of(settings)
    store = open_store(settings, directory, clock, worker=worker)
    storage, keys, instance = store.storage, store.keys, store.instance
    try:
        limits = settings.effective_limits
        url = public_url(settings, port)
        helpers = HelperProcesses()
        key_maker = KeyPool(size=settings.rsa_pool_size, bits=settings.rsa_pool_bits)
        vault = Vault(keys.keyring)
        configuration_vault = ConfigurationVault(keys.keyring)
        outbox = Outbox(instance)
        outside = Outside.build(settings, clock, acme=acme, dns=dns, propagation=propagation)
        public = PublicCertificates.build(
            settings,
            outside,
            storage=storage,
            clock=clock,
            limits=limits,
            outbox=outbox,
            vault=configuration_vault,
        )
        authorities = AuthorityServices.build(
            AuthorityContext(
                storage=storage,
                clock=clock,
                keys=AuthorityKeys(
                    keys.keyring, key_maker, Pkcs11KeyToken(settings.pkcs11_library, Pins(storage, vault).read)
                ),
                addresses=Addresses(base=settings.ca_files_url or url),
                allow_p224=settings.allow_p224,
                outbox=outbox,
                limits=limits,
            ),
            Linter(helpers),
        )
        engines: dict[SecretType, Engine] = {}
        context = Context(
            storage=storage,
            vault=vault,
            outbox=outbox,
            engines=engines,
            work=Work(clock=clock, limits=limits, helpers=helpers, keys=key_maker, generate_password=generate_password),
        )
        orders = OrderServices.build(
            OrderContext(
                secrets=context,
                acme=outside.acme,
                cas=public.cas,
                dns=public.dns,
                propagation=outside.propagation,
                ledger=Ledger(limits, registered_domain),
            )
        )
        # An order stores versions as the secret services do, and one of the engines begins orders.
        engines |= build_engines(authorities.issuance, orders.ordering)
        secrets = SecretServices.build(context)
        signer = keys.token_authority(issuer=f"{url}/identity", clock=clock)
        identities = IdentityServices.build(
            storage=storage,
            clock=clock,
            limits=limits,
            instance=instance,
            digests=keys.digests,
            signer=signer,
            issuer=f"{url}/identity",
        )
        provider = keys.provider
        rotation = MasterKeyRotation(
            storage=storage,
            keyring=keys.keyring,
            provider=provider,
            store=lambda unit, records: store_keys(unit, [stored_kek(record) for record in records]),
        )
        delivery_watch = DeliveryWatch(logger("notifications"))
        metrics = Metrics(
            storage=storage,
            clock=clock,
            writer=lambda: storage.stats,
            key_pool=key_maker.figures,
            ocsp_answers=authorities.ocsp.counts,
            deliveries=delivery_watch.counts,
        )
        handlers: list[JobHandler] = [
            ExpirySteps(context),
            RotationSteps(context, secrets.rotation),
            authorities.renewal,
            authorities.lint_steps,
            authorities.certificate_watch,
            authorities.crl_watch,
            AuditVerification(storage, [keys.checkpoints.public_key_b64]),
            OneStep(ROTATE_MASTER_KEY, rotation.rotate),
        ]
        notices = build_notifications(
            settings,
            storage=storage,
            clock=clock,
            limits=limits,
            sealer=keys.keyring,
            instance=instance,
            public_url=url,
            outbox=outbox,
            guard=outside.guard,
            http=outside.http,
            watch=delivery_watch,
        )
        handlers += [notices.expiry, notices.dispatch]
        lanes = [
            Lane(name="orders", handlers=[orders.steps], threads=limits.orders_running),
            Lane(name="upkeep", handlers=[orders.cleanup, orders.renewal_info, public.probe_records], threads=2),
            Lane(name="notices", handlers=[notices.deliveries], threads=2),
        ]
        tls = None if settings.http else ServerTls(settings, directory, keys, instance, clock)
        periodic: list[Periodic] = [Checkpoints(storage, clock, keys.checkpoints)]
        if settings.database_url is not None:
            refresh = KeysRefresh(storage, keys.keyring, provider)
            keys.keyring.when_unknown(refresh.at_once)
            periodic.append(refresh)
        if tls is not None:
            periodic.append(tls)
        background = Worker(
            storage=storage,
            clock=clock,
            handlers=handlers,
            lanes=lanes,
            sources=[
                due_for_expiry(),
                due_for_rotation(),
                authorities.renewal,
                authorities.certificate_watch,
                authorities.crl_watch,
                orders.sweep,
                orders.renewal_info,
                notices.expiry,
                notices.dispatch,
                notices.deliveries,
            ],
            periodic=periodic,
            owner=f"{socket.gethostname()}/{new_uuid()[:8]}",
            log=logger("worker"),
            interval=settings.scheduler_interval,
            events_kept=limits.events_kept,
            observe=metrics.observe_job,
        )
        storage.on_new_jobs(background.wake)
        services = Services(
            storage=storage,
            clock=clock,
            limits=limits,
            instance=instance,
            public_url=url,
            version=__version__,
            secrets=secrets,
            groups=SecretGroups(clock, limits, identities.generations),
            configurations=Configurations(
                storage=storage,
                clock=clock,
                vault=configuration_vault,
                outbox=outbox,
                engines=[authorities.authorities, authorities.templates, public.configurations],
            ),
            public_configurations=public.configurations,
            authorities=authorities,
            authenticator=identities.authenticator,
            identities=identities,
            audit=AuditTrail(storage, clock, keys.checkpoints),
            jobs=JobService(clock),
            manual_orders=orders.manual,
            order_views=OrderViews(),
            notifications=notices.notifications,
            wake_worker=background.wake,
            settings=lambda: list(describe(settings)),
            encryption=lambda: {"provider": provider.name, "key_id": keys.keyring.master_key_id},
            metrics=metrics.render,
            metrics_token=Secret(settings.metrics_token.get_secret_value()) if settings.metrics_token else None,
            check_master_key=provider.health,
        )
        addresses = ClientAddress(url, settings.behind_proxy)
        edge = Edge(services, metrics.observer(logger("access")), addresses)
        return Container(
            settings=settings,
            clock=clock,
            store=store,
            services=services,
            edge=edge,
            app=build_app(edge, OPERATIONS),
            ca_files=build_app(edge, CA_FILES),
            worker=background,
            helpers=helpers,
            keys=key_maker,
            tls=tls,
            outside=outside,
        )
    except BaseException:
        storage.close()
        raise


GRACE: Final = timedelta(seconds=30)
"""How long requests in flight may take to finish after the server was told to stop."""
