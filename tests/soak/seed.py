"""Fill a store with many secrets, fast, the way a large organisation fills it over years.

    python -m tests.soak.seed --secrets 1000000 --data-dir /path/to/folder
    python -m tests.soak.seed --secrets 1000000 --database-url postgresql://...

Rows are made by the store's own mapping and written in bulk: indexes are dropped before and made after,
counters and trigrams are written at the end. The store must have no secrets.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from strongroom.domain.secrets.model import Secret, SecretType, State
from strongroom.kernel.ids import GroupId, IamId, SecretId, VersionId
from strongroom.kernel.time import to_microseconds
from strongroom.storage import schema
from strongroom.storage.engine import Engine, open_engine
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.postgresql import PostgresConnection
from strongroom.storage.repositories.rows import TYPE_NUMBERS, search_text, secret_parameters
from strongroom.storage.sqlite import SqliteConnection

DATABASE_FILE: Final = "strongroom.db"
BATCH: Final = 10_000
NOW: Final = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
SOMEBODY: Final = IamId("iam-ServiceId-00000000-0000-4000-8000-000000000000")

# Shares of a certificate-heavy instance.
TYPES: Final = {
    SecretType.IMPORTED_CERT: 30,
    SecretType.PRIVATE_CERT: 25,
    SecretType.PUBLIC_CERT: 15,
    SecretType.ARBITRARY: 12,
    SecretType.KV: 8,
    SecretType.USERNAME_PASSWORD: 6,
    SecretType.IAM_CREDENTIALS: 3,
    SecretType.SERVICE_CREDENTIALS: 1,
}
CERTIFICATES: Final = frozenset({SecretType.IMPORTED_CERT, SecretType.PRIVATE_CERT, SecretType.PUBLIC_CERT})
SERVICES: Final = ("shop", "billing", "search", "ledger", "mail", "gateway", "reports", "stock", "portal", "queue")
STAGES: Final = ("dev", "test", "stage", "prod")
REGIONS: Final = ("us-south", "us-east", "eu-de", "eu-gb", "jp-tok", "au-syd")
RARE_WORD: Final = "zeppelin"
"""Stands in the description of one secret in a hundred thousand."""
COMMON_WORD: Final = "example"
"""Stands in the name of nearly every secret."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was written."""

    secrets: int
    groups: tuple[str, ...]
    seconds: float


def group_ids(count: int) -> list[GroupId]:
    """Return ``default`` and the ids of the other groups, the same in every run."""
    others = (str(uuid.uuid5(uuid.NAMESPACE_DNS, f"group-{i}.example.com")) for i in range(1, count))
    return [GroupId("default"), *map(GroupId, others)]


def make_secrets(count: int, groups: list[GroupId]) -> Iterator[Secret]:
    """Yield secrets in order of creation, the same in every run."""
    rng = random.Random(1)
    kinds = rng.choices(list(TYPES), list(TYPES.values()), k=count)
    # A few groups hold most: the first a fifth of everything, the last some hundreds.
    homes = rng.choices(groups, [1 / (rank + 3) for rank in range(len(groups))], k=count)
    life = timedelta(days=1500) / count
    for index in range(count):
        kind = kinds[index]
        service, stage, region = rng.choice(SERVICES), rng.choice(STAGES), rng.choice(REGIONS)
        name = f"{service}-{stage}-{index:07d}.{COMMON_WORD}.com"
        created_at = NOW - timedelta(days=1500) + index * life
        changed_at = created_at + rng.random() * (NOW - created_at)
        is_certificate = kind in CERTIFICATES
        expires_at = NOW + timedelta(days=rng.uniform(-10, 200)) if is_certificate else None
        version_id = VersionId(str(uuid.UUID(int=rng.getrandbits(128), version=4)))
        yield Secret(
            id=SecretId(str(uuid.UUID(int=rng.getrandbits(128), version=4))),
            secret_type=kind,
            name=name,
            description=f"{RARE_WORD} of the {service}" if index % 100_000 == 77 else f"the {service} in {region}",
            group_id=homes[index],
            labels=(stage, region, f"team-{rng.randint(1, 400)}"),
            attributes=_attributes(name, rng) if is_certificate else {},
            rotation={"auto_rotate": False} if kind is not SecretType.ARBITRARY else None,
            state=State.ACTIVE if expires_at is None or expires_at > NOW else State.DESTROYED,
            created_at=created_at,
            created_by=SOMEBODY,
            updated_at=changed_at,
            retrieved_at=changed_at if rng.random() < 0.6 else None,
            downloaded=True,
            expires_at=expires_at,
            versions_total=1,
            versions_made=1,
            current_version_id=version_id,
        )


def _attributes(name: str, rng: random.Random) -> dict[str, Any]:
    return {
        "common_name": name,
        "alt_names": [name, f"www.{name}"],
        "signing_algorithm": "SHA256-RSA",
        "key_algorithm": "RSA2048",
        "issuer": "Example Issuing CA 7, Example Ltd",
        "serial_number": ":".join(f"{byte:02x}" for byte in rng.randbytes(16)),
        "validity": {"not_before": "2025-11-01T00:00:00Z", "not_after": "2026-05-01T00:00:00Z"},
        "intermediate_included": True,
        "private_key_included": True,
    }


def seed(engine: Engine, *, secrets: int, groups: int, payload_bytes: int = 256) -> Seeded:
    """Write everything."""
    started = time.perf_counter()
    ids = group_ids(groups)
    connection = engine.open_writer()
    sink: _Sink
    if isinstance(connection, SqliteConnection):
        sink = _SqliteSink(connection)
    elif isinstance(connection, PostgresConnection):
        sink = _PostgresSink(connection)
    else:
        raise TypeError
    sink.begin()
    sink.write("secret_groups", [_group_row(number, id_) for number, id_ in enumerate(ids, 1)])
    numbers = {id_: number for number, id_ in enumerate(ids, 1)}
    counts: Counter[tuple[int, int]] = Counter()
    payload = random.Random(2).randbytes(payload_bytes)
    batch: list[tuple[int, Secret]] = []
    for pk, secret in enumerate(make_secrets(secrets, ids), 1):
        batch.append((pk, secret))
        counts[numbers[secret.group_id], TYPE_NUMBERS[secret.secret_type]] += 1
        if len(batch) == BATCH or pk == secrets:
            _write_batch(sink, batch, numbers, payload)
            batch.clear()
    sink.write(
        "secret_counts",
        [{"group_no": group, "type_no": kind, "total": total} for (group, kind), total in counts.items()],
    )
    sink.finish()
    connection.close()
    return Seeded(secrets, tuple(ids), time.perf_counter() - started)


def _group_row(number: int, id_: GroupId) -> dict[str, Any]:
    at = to_microseconds(NOW - timedelta(days=1600))
    return {
        "pk": number,
        "id": id_,
        "name": f"group {number}",
        "description": "",
        "created_at": at,
        "created_by": SOMEBODY,
        "updated_at": at,
    }


def _write_batch(sink: _Sink, batch: list[tuple[int, Secret]], numbers: dict[GroupId, int], payload: bytes) -> None:
    rows = [
        {
            "pk": pk,
            "id": secret.id,
            "type_no": TYPE_NUMBERS[secret.secret_type],
            "group_no": numbers[secret.group_id],
            "group_id": secret.group_id,
            "created_at": to_microseconds(secret.created_at),
            "created_by": secret.created_by,
            "retrieved_at": None if secret.retrieved_at is None else to_microseconds(secret.retrieved_at),
            "row_version": 0,
            **secret_parameters(secret),
        }
        for pk, secret in batch
    ]
    sink.write("secrets", rows)
    scope = [{"group_no": row["group_no"], "type_no": row["type_no"]} for row in rows]
    sink.write(
        "secret_search",
        [{"pk": pk, "text": search_text(secret), **scope[i]} for i, (pk, secret) in enumerate(batch)],
    )
    sink.write(
        "secret_labels",
        [
            {"label": label, "secret_pk": pk, **scope[i]}
            for i, (pk, secret) in enumerate(batch)
            for label in secret.labels
        ],
    )
    sink.write(
        "versions",
        [
            {
                "pk": pk,
                "id": secret.current_version_id,
                "secret_pk": pk,
                "number": 1,
                "created_at": to_microseconds(secret.created_at),
                "created_by": secret.created_by,
                "auto_rotated": False,
                "downloaded": True,
                "payload_available": True,
                "expires_at": None,
                "attributes": "{}",
                "custom_metadata": None,
                "sealed": payload,
            }
            for pk, secret in batch
        ],
    )


class _Sink:
    """Writes rows in bulk; indexes that only make queries quick are away meanwhile."""

    def begin(self) -> None:
        raise NotImplementedError

    def write(self, table: str, rows: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError


class _SqliteSink(_Sink):
    def __init__(self, connection: SqliteConnection) -> None:
        self._raw = connection._raw
        self._indexes: list[str] = []

    def begin(self) -> None:
        for pragma in ("synchronous=OFF", "foreign_keys=OFF", "secure_delete=OFF", "cache_size=-1000000"):
            self._raw.execute(f"PRAGMA {pragma}")
        for name, text in self._raw.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('secrets', 'secret_labels', 'secret_search', 'versions')"
        ).fetchall():
            self._raw.execute(f"DROP INDEX {name}")
            self._indexes.append(text)
        self._raw.execute("BEGIN")

    def write(self, table: str, rows: list[dict[str, Any]]) -> None:
        names = [column.name for column in schema.metadata.tables[table].columns]
        places = ", ".join("?" * len(names))
        self._raw.executemany(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})",  # noqa: S608 - our own names
            ([row[name] for name in names] for row in rows),
        )

    def finish(self) -> None:
        self._raw.execute("INSERT INTO secret_trigrams (rowid, text) SELECT pk, text FROM secret_search ORDER BY pk")
        for text in self._indexes:
            self._raw.execute(text)
        self._raw.execute("COMMIT")
        self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _PostgresSink(_Sink):
    def __init__(self, connection: PostgresConnection) -> None:
        self._raw = connection.raw
        self._indexes: list[str] = []

    def begin(self) -> None:
        # A commit that is not on disk yet would keep VACUUM from marking its rows as seen by all.
        self._raw.execute("SET synchronous_commit = on")
        self._raw.execute("SET maintenance_work_mem = '512MB'")
        for name, text in self._raw.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN"
            " ('secrets', 'secret_labels', 'secret_search', 'versions') AND indexname LIKE 'ix%'"
        ).fetchall():
            self._raw.execute(f'DROP INDEX "{name}"')
            self._indexes.append(text)
        self._raw.execute("BEGIN")

    def write(self, table: str, rows: list[dict[str, Any]]) -> None:
        names = [column.name for column in schema.metadata.tables[table].columns]
        with self._raw.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row([row[name] for name in names])

    def finish(self) -> None:
        for text in self._indexes:
            self._raw.execute(text)
        for table in ("secrets", "secret_groups", "versions"):
            self._raw.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'pk'), max(pk)) FROM {table}"  # noqa: S608
            )
        self._raw.execute("COMMIT")
        self._raw.execute("VACUUM ANALYZE")


def target_of(arguments: argparse.Namespace) -> str:
    """Return the address that the arguments name."""
    if arguments.database_url:
        url: str = arguments.database_url
        return url
    folder = Path(arguments.data_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(folder / DATABASE_FILE)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which store."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--data-dir", help="folder of the SQLite file")
    target.add_argument("--database-url", help="postgresql://... of an empty database")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--payload-bytes", type=int, default=256)
    add_target(parser)
    arguments = parser.parse_args()
    engine = open_engine(target_of(arguments), read_pool=1)
    ensure_schema(engine)
    seeded = seed(engine, secrets=arguments.secrets, groups=arguments.groups, payload_bytes=arguments.payload_bytes)
    engine.close()
    sys.stdout.write(f"{seeded.secrets} secrets in {len(seeded.groups)} groups, {seeded.seconds:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
