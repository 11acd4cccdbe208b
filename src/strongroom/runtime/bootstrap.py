"""First start: from an empty data directory to a store that can serve; every later start finds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.identity.bootstrap import bootstrap_administrator
from strongroom.domain.ports import Unit
from strongroom.kernel.clock import Clock, SystemClock
from strongroom.kernel.errors import Conflict, ErrorCode, Integrity
from strongroom.kernel.ids import DEFAULT_GROUP, Instance, new_uuid
from strongroom.runtime.data_dir import DataDir, sync_folder, write_private
from strongroom.runtime.server_keys import ServerKeys, make_server_keys, open_server_keys, store_keys
from strongroom.runtime.settings import Settings
from strongroom.runtime.tls import ensure_server_certificate
from strongroom.sealing.digests import PepperedDigests
from strongroom.storage.store import SqlStorage, open_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A data directory that is ready to serve."""

    url: str
    instance_id: str
    region: str
    admin_apikey_file: Path
    ca_file: Path
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """An open store with its opened keys."""

    storage: SqlStorage
    instance: Instance
    keys: ServerKeys
    created: bool


def clock_of(settings: Settings) -> Clock:
    """Return the server's clock, moved only in test mode."""
    return SystemClock(settings.test_clock_offset if settings.test_mode else timedelta())


def public_url(settings: Settings, port: int | None = None) -> str:
    """Return the base of links and of the token issuer."""
    if settings.public_url is not None:
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        host = "localhost"
    scheme = "http" if settings.http else "https"
    return f"{scheme}://{host}:{port if port is not None else settings.port}"


def open_store(settings: Settings, directory: DataDir, clock: Clock, *, worker: int = 0) -> OpenStore:
    """Open the store, and bootstrap it if it is empty.

    The caller holds the data directory.

    Raises:
        Unavailable: ``master_key_missing``; or the database does not answer.
        Integrity: ``master_key_wrong``; or the database was lost while the directory has another's data.
    """
    embedded = settings.database_url is None
    url = directory.database if settings.database_url is None else settings.database_url.get_secret_value()
    storage = open_storage(
        url,
        stream="main" if embedded else f"{_node_id(directory)}-{worker}",
        durable_reads=settings.audit.durable_reads,
    )
    try:
        found, stored = storage.read(lambda unit: (unit.instance.find(), unit.keys.listing()))
        created = False
        if found is None:
            if embedded and directory.instance.exists():
                raise Integrity(
                    ErrorCode.INTEGRITY_FAILED,
                    "The database is empty, but this data directory belongs to an instance that had data.",
                    hint="Restore a backup into an empty directory, or bring the database file back.",
                )
            created = _bootstrap(storage, settings, directory, clock)
            found, stored = storage.read(lambda unit: (unit.instance.find(), unit.keys.listing()))
        assert found is not None  # noqa: S101  (it was there, or has just been made)
        keys = open_server_keys(settings, stored, clock)
        _settle_api_key(storage, directory, keys)
        if embedded and not directory.instance.exists():
            write_private(directory.instance, found.id + "\n")
        instance = Instance(id=found.id, account_id=found.account_id, region=settings.region)
        return OpenStore(storage=storage, instance=instance, keys=keys, created=created)
    except BaseException:
        storage.close()
        raise


def prepare_data_dir(settings: Settings) -> Prepared:
    """Prepare an empty data directory without serving, or look at one that is ready.

    Raises:
        Conflict: ``already_running`` if a server uses the directory.
    """
    clock = clock_of(settings)
    with DataDir(settings.data_dir) as directory:
        store = open_store(settings, directory, clock)
        try:
            ensure_server_certificate(settings, directory, store.keys, store.instance, clock.now())
        finally:
            store.storage.close()
        return Prepared(
            url=public_url(settings),
            instance_id=store.instance.id,
            region=store.instance.region,
            admin_apikey_file=directory.admin_apikey,
            ca_file=directory.tls / "ca.pem",
            created=store.created,
        )


class _GivenKey(PepperedDigests):
    """Hands out an API key that was made before, so that it can be on disk before the commit."""

    def __init__(self, digests: PepperedDigests, key: str) -> None:
        self._digests = digests
        self._key = key

    def new_api_key(self) -> str:
        return self._key

    def api_key_digest(self, key: str) -> str:
        return self._digests.api_key_digest(key)


def _bootstrap(storage: SqlStorage, settings: Settings, directory: DataDir, clock: Clock) -> bool:
    """Fill an empty store in one unit; return ``False`` if another node was first.

    The administrator's key is on disk before the commit, so that there is never a store that nobody can enter, and gets
    its name after it, so that a file of that name always opens the store.
    """
    now = clock.now()
    instance = Instance(id=new_uuid(), account_id=new_uuid().replace("-", ""), region=settings.region)
    stored = make_server_keys(settings, clock)
    digests = open_server_keys(settings, stored, clock).digests
    api_key = digests.new_api_key()
    write_private(directory.pending_apikey, api_key + "\n")

    def fill(unit: Unit) -> None:
        unit.instance.create(instance, now)
        store_keys(unit, stored)
        if unit.groups.find(DEFAULT_GROUP) is None:
            unit.groups.add(
                SecretGroup(
                    id=DEFAULT_GROUP,
                    name="default",
                    description="",
                    created_at=now,
                    created_by=SYSTEM.iam_id,
                    updated_at=now,
                )
            )
        bootstrap_administrator(unit, instance=instance, clock=clock, digests=_GivenKey(digests, api_key))

    try:
        storage.write(fill)
    except Conflict:
        return False
    return True


def _settle_api_key(storage: SqlStorage, directory: DataDir, keys: ServerKeys) -> None:
    """Give the administrator's key its name if the store knows it; otherwise it is of no use to anybody."""
    pending = directory.pending_apikey
    if not pending.exists():
        return
    digest = keys.digests.api_key_digest(pending.read_text().strip())
    if storage.read(lambda unit: unit.identities.find_api_key_by_digest(digest)) is None:
        pending.unlink()
    else:
        if directory.admin_apikey.exists():
            # It may be the only copy of the key to another database, and the address of this one a mistake.
            directory.admin_apikey.replace(directory.admin_apikey.with_name("admin-apikey.old"))
        pending.replace(directory.admin_apikey)
    sync_folder(directory.path)


def _node_id(directory: DataDir) -> str:
    if not directory.node.exists():
        write_private(directory.node, f"node-{new_uuid()[:8]}\n")
    return directory.node.read_text().strip()
