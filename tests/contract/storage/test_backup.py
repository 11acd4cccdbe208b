"""Copies of the whole store: from either database, into either."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.audit.record import AuditEntry, AuditQuery, Initiator, Outcome, Target
from strongroom.domain.authorities.model import IssuedKind
from strongroom.domain.configurations.model import ConfigKind
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.identity.model import (
    AccessGroup,
    ApiKey,
    Membership,
    Policy,
    RefreshToken,
    ServiceId,
    SubjectKind,
    User,
)
from strongroom.domain.jobs.model import Job, JobState
from strongroom.domain.orders.model import CaUse
from strongroom.domain.ports import ReadUnit, StoredKey, Unit
from strongroom.domain.secrets.model import (
    Lock,
    Secret,
    SecretQuery,
    SecretType,
    State,
    Version,
    VersionAlias,
)
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid
from strongroom.kernel.ids import (
    DEFAULT_GROUP,
    AccessGroupId,
    ApiKeyId,
    AuditId,
    ConfigurationId,
    GroupId,
    IamId,
    Instance,
    JobId,
    PolicyId,
    SecretId,
    ServiceIdId,
    VersionId,
    new_uuid,
)
from strongroom.storage import schema
from strongroom.storage.backup import DERIVED, copied_tables, dump, load
from strongroom.storage.migrate import REVISION
from strongroom.storage.store import SqlStorage, open_storage
from tests.contract.storage.builders import (
    make_authority,
    make_challenge,
    make_configuration,
    make_crl,
    make_delivery,
    make_destination,
    make_issued,
    make_order,
    make_record,
    make_registration,
    make_renewal_check,
    make_signer,
)

AT = datetime(2026, 3, 2, 9, 14, 7, 123456, tzinfo=UTC)
ADMIN = IamId("iam-ServiceId-admin")
PAYLOAD = bytes(range(256)) * 20

OpenStorage = Callable[..., SqlStorage]


@pytest.fixture
def other_sqlite(tmp_path: Path) -> Iterator[SqlStorage]:
    with contextlib.closing(open_storage(tmp_path / "other.db", stream="main")) as store:
        yield store


def make_secret(name: str, group: str = DEFAULT_GROUP, **changes: Any) -> Secret:
    made = Secret(
        id=SecretId(new_uuid()),
        secret_type=SecretType.ARBITRARY,
        name=name,
        group_id=GroupId(group),
        labels=("dev", "ÜBER", "us-south"),
        custom_metadata={"key": "välue"},
        attributes={"a": [1, None]},
        rotation={"auto_rotate": False},
        private_state=b"\x00sealed",
        state=State.ACTIVE,
        created_at=AT,
        created_by=ADMIN,
        updated_at=AT,
        expires_at=AT + timedelta(days=90),
    )
    return replace(made, **changes)


def make_version(secret: Secret, number: int) -> Version:
    return Version(id=VersionId(new_uuid()), secret_id=secret.id, number=number, created_at=AT, created_by=ADMIN)


def entry(name: str = "ü") -> AuditEntry:
    return AuditEntry(
        id=AuditId(new_uuid()),
        time=AT,
        initiator=Initiator(id=ADMIN, name=name, type="service_id"),
        action="secrets-manager.secret.read",
        target=Target(type="secret"),
        outcome=Outcome.SUCCESS,
    )


def fill(storage: SqlStorage) -> None:
    """Put something into every table."""

    def unit_of_work(unit: Unit) -> None:
        unit.instance.create(Instance(id="instance-1", account_id="0" * 32, region=""), AT)
        for group in (DEFAULT_GROUP, "g1"):
            unit.groups.add(SecretGroup(id=GroupId(group), name=group, created_at=AT, created_by=ADMIN, updated_at=AT))
        plain = make_secret("plain", labels=(), private_state=None, expires_at=None, rotation=None)
        named = make_secret("Größe 100%", "g1", secret_type=SecretType.KV, downloaded=True)
        for secret in (plain, named):
            unit.secrets.add(secret)
        version, empty = make_version(named, 1), make_version(named, 2)
        unit.versions.add(version, PAYLOAD)
        unit.versions.add(replace(empty, payload_available=False, auto_rotated=True), None)
        unit.locks.put(
            Lock(
                name="lock",
                attributes={"a": 1},
                created_at=AT,
                updated_at=AT,
                created_by=ADMIN,
                secret_id=named.id,
                version_id=version.id,
                group_id=GroupId("g1"),
                alias=VersionAlias.CURRENT,
            )
        )
        fill_identities(unit)
        fill_authorities(unit, named)
        fill_orders(unit, named)
        fill_notifications(unit)
        unit.keys.put(
            StoredKey(id="1", kind="kek", active=True, master_key_id="m", blob=b"\xff\x00", public="", created_at=AT)
        )
        unit.jobs.enqueue(
            Job(
                id=JobId("job-1"),
                kind="secret.rotate",
                dedupe_key="rotate:1",
                state=JobState.QUEUED,
                step="start",
                run_at=AT,
                created_at=AT,
                updated_at=AT,
            )
        )
        unit.events.add("secret_created", "", named, AT, {"name": "ü"})
        unit.audit(entry())
        unit.audit_trail.add_checkpoint(AT, "{}", "signature", "public")

    storage.write(unit_of_work)


def fill_orders(unit: Unit, secret: Secret) -> None:
    unit.orders.add(
        make_order(secret.id, challenges=(make_challenge(),), records=(make_record(),), sealed_key=b"\x00key")
    )
    unit.orders.note_use(CaUse(ca_key="ca", kind="duplicate", subject="www.example.com", at=AT))
    unit.orders.put_renewal_check(make_renewal_check(secret, renew_at=AT))


def fill_notifications(unit: Unit) -> None:
    unit.notifications.register(make_registration())
    destination = make_destination("über", sealed=b"\x00sealed")
    unit.notifications.add(destination)
    unit.notifications.add_delivery(make_delivery(destination, payload={"name": "ü"}))


def fill_authorities(unit: Unit, secret: Secret) -> None:
    root, child = make_configuration("root", sealed=b"\x00sealed"), make_configuration("child")
    old = make_authority(child, sealed_key=b"\x00key", chain=(b"\x30\x00", b"\xff"))
    # Made after its child: rows refer to each other in any order.
    parent, new = make_authority(root), make_authority(child, 2, certificate=None, external_key={"label": "ü"})
    for configuration in (root, child):
        unit.configurations.add(configuration)
    for authority in (replace(old, issuer=parent.id), parent, new):
        unit.authorities.add(authority)
    template = ConfigurationId("t1")
    unit.authorities.add_issued(make_issued(old, "1", secret_id=secret.id, template_id=template))
    unit.authorities.add_issued(make_issued(parent, "1", kind=IssuedKind.CA))
    unit.authorities.revoke(child.id, "1", AT.replace(microsecond=0), b"\x00entry")
    unit.authorities.put_crl(make_crl(old, 7, covers=1, der=PAYLOAD))
    unit.authorities.put_ocsp_signer(make_signer(old, sealed_key=b"\xffsealed"))


def fill_identities(unit: Unit) -> None:
    identities = unit.identities
    identities.add_user(User(iam_id=IamId("IBMid-1"), name="operator", created_at=AT))
    identities.add_service_id(
        ServiceId(id=ServiceIdId("S1"), iam_id=ADMIN, name="deployer", entity_tag="1", created_at=AT, modified_at=AT)
    )
    identities.add_api_key(
        ApiKey(
            id=ApiKeyId("K1"),
            iam_id=ADMIN,
            name="key",
            digest="d1",
            entity_tag="1",
            disabled=True,
            allowed_networks=("192.0.2.0/24",),
            created_at=AT,
            created_by=ADMIN,
            modified_at=AT,
        )
    )
    identities.add_policy(
        Policy(
            id=PolicyId("P1"),
            subject_kind=SubjectKind.IAM_ID,
            subject=ADMIN,
            roles=(Role.MANAGER,),
            document="{}",
            entity_tag="1",
            created_at=AT,
            created_by=ADMIN,
            modified_at=AT,
            modified_by=ADMIN,
        )
    )
    group = AccessGroup(
        id=AccessGroupId("A1"),
        name="operators",
        entity_tag="1",
        created_at=AT,
        created_by=ADMIN,
        modified_at=AT,
        modified_by=ADMIN,
    )
    identities.add_access_group(group)
    identities.add_member(Membership(group_id=group.id, iam_id=ADMIN, type="service", created_at=AT, created_by=ADMIN))
    identities.add_refresh_token(RefreshToken(digest="r1", iam_id=ADMIN, api_key_id=ApiKeyId("K1"), expires_at=AT))


@contextlib.contextmanager
def tampering(url: str) -> Iterator[Callable[[str], object]]:
    """Give a way past the store, as whoever holds the database has one."""
    if url.startswith("postgresql"):
        import psycopg

        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            yield lambda text: connection.execute(text.encode())
    else:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as file:
            yield file.execute


def copy_of(storage: SqlStorage) -> bytes:
    out = io.BytesIO()
    dump(storage, out, at=AT)
    return out.getvalue()


def rows_of(copy: bytes) -> list[bytes]:
    """Return the lines between header and footer."""
    return copy.splitlines()[1:-1]


def sealed_again(lines: list[bytes]) -> bytes:
    """Return a copy of these lines whose footer fits, as if it had been made so."""
    footer = json.loads(lines[-1])
    body = b"".join(line + b"\n" for line in lines[:-1])
    footer["sha256"] = hashlib.sha256(body).hexdigest()
    return body + json.dumps(footer).encode() + b"\n"


def is_empty(storage: SqlStorage) -> bool:
    def look(unit: ReadUnit) -> bool:
        return unit.instance.find() is None and not unit.groups.listing() and not unit.keys.listing()

    return storage.read(look)


def refusal(storage: SqlStorage, copy: bytes) -> Invalid:
    """Restore what cannot be, and return the refusal; nothing may be left of it."""
    with pytest.raises(Invalid) as refused:
        load(storage, io.BytesIO(copy))
    assert refused.value.code is ErrorCode.BACKUP_UNREADABLE
    assert refused.value.hint
    assert is_empty(storage)
    return refused.value


def test_every_table_is_either_copied_or_made_again() -> None:
    assert set(copied_tables()) | DERIVED == set(schema.metadata.tables)


def test_something_of_every_table_is_in_a_copy(storage: SqlStorage) -> None:
    fill(storage)

    counts = dump(storage, io.BytesIO(), at=AT)

    assert [name for name, count in counts.items() if not count] == []
    assert counts["secrets"] == counts["versions"] == counts["secret_groups"] == 2


def test_copy_of_the_restored_store_is_the_same(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(storage)
    copy = copy_of(storage)

    counts = load(other_sqlite, io.BytesIO(copy))

    assert copy_of(other_sqlite) == copy
    assert counts == dump(storage, io.BytesIO(), at=AT)


def test_copy_survives_the_way_from_sqlite_into_either_database_and_back(
    storage: SqlStorage, other_sqlite: SqlStorage, tmp_path: Path
) -> None:
    fill(other_sqlite)
    copy = copy_of(other_sqlite)

    load(storage, io.BytesIO(copy))
    there = copy_of(storage)
    with contextlib.closing(open_storage(tmp_path / "back.db", stream="main")) as back:
        load(back, io.BytesIO(there))
        assert there == copy_of(back) == copy


def test_restored_store_lists_searches_and_counts_as_before(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(other_sqlite)
    load(storage, io.BytesIO(copy_of(other_sqlite)))

    def names(**filters: Any) -> tuple[list[str], int]:
        page = storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=10, **filters)))
        return [secret.name for secret in page.items], page.total

    assert names() == (["Größe 100%", "plain"], 2)
    assert names(search="GRÖSSE") == (["Größe 100%"], 1)
    assert names(search="0%") == (["Größe 100%"], 1)
    assert names(labels=("ÜBER", "dev")) == (["Größe 100%"], 1)
    assert names(groups=frozenset({GroupId("g1")})) == (["Größe 100%"], 1)
    assert storage.read(lambda unit: unit.secrets.counts()) == {
        (DEFAULT_GROUP, SecretType.ARBITRARY): 1,
        (GroupId("g1"), SecretType.KV): 1,
    }


def test_restored_order_goes_on_where_it_was(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(storage)
    load(other_sqlite, io.BytesIO(copy_of(storage)))

    def look(unit: ReadUnit) -> object:
        secret = unit.secrets.find_by_name(SecretType.KV, "Größe 100%")
        assert secret is not None
        order = unit.orders.open_of_secret(secret.id)
        uses = unit.orders.uses("ca", "duplicate", "www.example.com", AT)
        return order, uses, unit.orders.find_renewal_check(secret.id)

    assert other_sqlite.read(look) == storage.read(look)


def test_restored_authorities_go_on_where_they_were(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(other_sqlite)
    load(storage, io.BytesIO(copy_of(other_sqlite)))

    def look(unit: ReadUnit) -> tuple[Any, ...]:
        child = unit.configurations.find(ConfigKind.PRIVATE_CA, "child")
        assert child is not None
        new, old = unit.authorities.generations(child.id)
        issued = unit.authorities.find_issued(child.id, "1")
        crl, signer = unit.authorities.find_crl(old.id), unit.authorities.find_ocsp_signer(old.id)
        return child, new, old, issued, crl, signer, list(unit.authorities.revoked_entries(old.id, AT))

    assert storage.read(look) == other_sqlite.read(look)
    _, new, old, issued, crl, signer, entries = storage.read(look)
    assert (old.sealed_key, old.crl_number, old.crl_wanted) == (b"\x00key", 7, 1)
    assert (crl.covers, signer.sealed_key, entries) == (1, b"\xffsealed", [b"\x00entry"])
    assert not storage.write(lambda unit: unit.authorities.put_crl(make_crl(old, 7)))
    with pytest.raises(Conflict):
        storage.write(lambda unit: unit.authorities.add_issued(make_issued(new, issued.serial)))
    storage.write(lambda unit: unit.authorities.add_issued(make_issued(new, "2")))


def test_restored_store_takes_changes(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(other_sqlite)
    load(storage, io.BytesIO(copy_of(other_sqlite)))
    secret = make_secret("after")

    def change(unit: Unit) -> None:
        unit.secrets.add(secret)
        unit.versions.add(make_version(secret, 1), b"sealed")
        unit.groups.add(SecretGroup(id=GroupId("g2"), name="g2", created_at=AT, created_by=ADMIN, updated_at=AT))
        unit.events.add("secret_created", "", secret, AT, {})
        unit.audit(entry())
        unit.audit_trail.add_checkpoint(AT, "{}", "signature", "public")
        named = unit.secrets.find_by_name(SecretType.KV, "Größe 100%")
        assert named is not None
        unit.secrets.remove(named.id)

    storage.write(change)

    page = storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=10)))
    assert [found.name for found in page.items] == ["after", "plain"]
    assert storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=10, search="größe"))).total == 0
    # The chain goes on behind the restored records.
    records, _ = storage.read(lambda unit: unit.audit_trail.page(AuditQuery(limit=10)))
    assert [record.sequence for record in records] == [2, 1]


def test_store_without_anything_is_copied_and_restored(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    copy = copy_of(storage)

    load(other_sqlite, io.BytesIO(copy))

    assert copy_of(other_sqlite) == copy


def test_copy_says_what_it_is(storage: SqlStorage) -> None:
    fill(storage)

    header, *_, footer = map(json.loads, copy_of(storage).splitlines())

    assert header["format"] == "strongroom-backup"
    assert header["schema"] == REVISION
    assert header["instance"] == "instance-1"
    assert header["created_at"] == "2026-03-02T09:14:07Z"
    assert set(footer) == {"rows", "sha256"}


def test_copy_longer_than_a_batch_is_whole(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    def many(unit: Unit) -> None:
        unit.groups.add(SecretGroup(id=DEFAULT_GROUP, name="default", created_at=AT, created_by=ADMIN, updated_at=AT))
        for number in range(1203):
            unit.secrets.add(make_secret(f"secret-{number}"))

    storage.write(many)
    copy = copy_of(storage)

    load(other_sqlite, io.BytesIO(copy))

    assert copy_of(other_sqlite) == copy
    assert other_sqlite.read(lambda unit: unit.secrets.page(SecretQuery(limit=1, search="secret-12"))).total == 14


def test_copy_is_of_one_instant_while_others_write(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    def add(number: int) -> None:
        def unit_of_work(unit: Unit) -> None:
            secret = make_secret(f"secret-{number}")
            unit.secrets.add(secret)
            unit.versions.add(make_version(secret, 1), PAYLOAD)
            unit.audit(entry())

        storage.write(unit_of_work)

    storage.write(
        lambda unit: unit.groups.add(
            SecretGroup(id=DEFAULT_GROUP, name="default", created_at=AT, created_by=ADMIN, updated_at=AT)
        )
    )
    for number in range(50):
        add(number)
    stop = threading.Event()
    counter = iter(range(50, 1_000_000))

    def write_on() -> None:
        while not stop.is_set():
            add(next(counter))

    writers = [threading.Thread(target=write_on) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        out = io.BytesIO()
        counts = dump(storage, out, at=AT)
    finally:
        stop.set()
        for writer in writers:
            writer.join()

    assert counts["secrets"] == counts["versions"] == counts["audit_records"] >= 50
    assert load(other_sqlite, io.BytesIO(out.getvalue())) == counts


def test_store_that_is_not_empty_is_left_alone(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(storage)
    before = copy_of(storage)

    with pytest.raises(Conflict) as refused:
        load(storage, io.BytesIO(copy_of(other_sqlite)))

    assert refused.value.code is ErrorCode.STORE_NOT_EMPTY
    assert copy_of(storage) == before


def test_copy_cut_off_anywhere_is_refused(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(other_sqlite)
    copy = copy_of(other_sqlite)
    lines = copy.splitlines(keepends=True)

    for end in (0, 10, len(lines[0]), len(copy) // 2, len(copy) - len(lines[-1]), len(copy) - 2, len(copy) - 1):
        refusal(storage, copy[:end])
    for count in range(1, len(lines)):
        refusal(storage, b"".join(lines[:count]))
    # What was refused left nothing in the way of the whole one.
    load(storage, io.BytesIO(copy))
    assert copy_of(storage) == copy


def test_copy_that_was_changed_is_refused(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(other_sqlite)
    lines = copy_of(other_sqlite).splitlines()
    deployer = next(n for n, line in enumerate(lines) if b"deployer" in line)

    changed = [*lines[:deployer], lines[deployer].replace(b"deployer", b"intruder"), *lines[deployer + 1 :]]
    assert "damaged" in refusal(storage, b"\n".join([*changed, b""])).detail
    assert "damaged" in refusal(storage, b"\n".join([*lines[:deployer], *lines[deployer + 1 :], b""])).detail
    assert "behind" in refusal(storage, b"\n".join([*lines, b"[]", b""])).detail


def test_copy_that_was_never_right_is_refused(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(other_sqlite)
    lines = copy_of(other_sqlite).splitlines()

    def with_line(old: bytes, new: bytes) -> bytes:
        place = next(n for n, line in enumerate(lines) if line.startswith(old))
        return sealed_again([*lines[:place], new, *lines[place + 1 :]])

    def place_of(table: str) -> int:
        return next(n for n, line in enumerate(lines) if line.startswith(b'{"table":"%s"' % table.encode())) + 1

    def with_value(table: str, column: str, value: object) -> bytes:
        at = place_of(table)
        columns = json.loads(lines[at - 1])["columns"]
        row = json.loads(lines[at])
        row[columns.index(column)] = value
        return sealed_again([*lines[:at], json.dumps(row).encode(), *lines[at + 1 :]])

    users = place_of("users")
    cases = {
        "not JSON": with_line(b'{"table":"users"', b"{"),
        "does not belong there": with_line(b'{"table":"users"', b'{"table":"nobody","columns":[]}'),
        "columns of table": with_line(b'{"table":"users"', b'{"table":"users","columns":["pk"]}'),
        "neither": with_line(b'{"table":"users"', b'"text"'),
        "as many values": sealed_again([*lines[:users], b"[1]", *lines[users + 1 :]]),
        "another kind": with_value("users", "name", 1),
        "of table users, has": with_value("users", "created_at", 1 << 63),
        "of table secrets, has": with_value("secrets", "type_no", 1 << 15),
        "column name of table users": with_value("users", "name", None),
        "base64": with_value("keys", "blob", "***"),
        "another kind.": with_value("keys", "active", 1),
        "UTF-8": with_value("users", "name", "\ud800"),
        "do not go together": with_value("versions", "secret_pk", 1_000_000),
        "cannot be read": with_value("secrets", "labels", "no JSON"),
    }
    for words, copy in cases.items():
        assert words in refusal(storage, copy).detail
    load(storage, io.BytesIO(sealed_again(lines)))


def test_two_rows_with_one_key_are_refused(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    fill(other_sqlite)
    lines = copy_of(other_sqlite).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(b'{"table":"users"')) + 1

    assert "go together" in refusal(storage, sealed_again([*lines[: at + 1], lines[at], *lines[at + 1 :]])).detail


@pytest.mark.parametrize(
    "copy", [b"", b"\n", b"certificate\n", b"[]\n", b'{"format":"something"}\n', b"\xff" * 100, b"[" * 100_000 + b"\n"]
)
def test_something_else_is_refused(other_sqlite: SqlStorage, copy: bytes) -> None:
    refusal(other_sqlite, copy)


def test_line_without_end_is_refused(other_sqlite: SqlStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.storage.backup._LINE_BYTES", 1_000_000)

    assert "too long" in refusal(other_sqlite, b"x" * 2_000_000).detail


@pytest.mark.parametrize("change", [{"schema": "9999"}, {"version": 2}, {"schema": None}])
def test_copy_of_another_version_is_refused_with_what_to_do(
    other_sqlite: SqlStorage, storage: SqlStorage, change: dict[str, object]
) -> None:
    lines = copy_of(storage).splitlines()
    header = json.loads(lines[0]) | {"program": "9.8.7"} | change

    problem = refusal(other_sqlite, sealed_again([json.dumps(header).encode(), *lines[1:]]))

    assert "9.8.7" in problem.detail
    assert problem.hint is not None
    assert "9.8.7" in problem.hint


def test_text_that_postgresql_cannot_store_is_named(storage: SqlStorage, other_sqlite: SqlStorage) -> None:
    with tampering(other_sqlite.engine.url) as execute:
        execute("INSERT INTO users (iam_id, name, origin, state, created_at) VALUES ('u', 'a' || char(0), 'l', 'a', 1)")
    copy = copy_of(other_sqlite)

    if storage.dialect == "sqlite":
        load(storage, io.BytesIO(copy))
        assert copy_of(storage) == copy
    else:
        assert "column name of table users" in refusal(storage, copy).detail


CHILD = """
import sys, time
from strongroom.storage.backup import load
from strongroom.storage.store import open_storage

class Half:
    def __init__(self):
        self.left = int(sys.argv[2])
    def read(self, size):
        if not self.left:
            print("half", flush=True)
            time.sleep(600)
        data = sys.stdin.buffer.read(min(size, self.left, 1000))
        self.left -= len(data)
        return data

load(open_storage(sys.argv[1], stream="main"), Half())
"""


def test_kill_in_the_middle_leaves_a_store_that_can_be_restored_into(
    database_url: str, open_store: OpenStorage, other_sqlite: SqlStorage
) -> None:
    fill(other_sqlite)

    def add_many(unit: Unit) -> None:
        for number in range(600):
            unit.secrets.add(make_secret(f"secret-{number}"))

    other_sqlite.write(add_many)
    copy = copy_of(other_sqlite)
    half = copy.index(b'{"table":"versions"')

    with subprocess.Popen(
        [sys.executable, "-c", CHILD, database_url, str(half)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(copy[:half])
        child.stdin.flush()
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
        child.wait(30)

    storage = open_store()
    assert is_empty(storage)
    load(storage, io.BytesIO(copy))
    assert copy_of(storage) == copy
