"""The texts made beforehand are the ones that would be built, and ordinary work needs no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.storage import compiled, migrate
from strongroom.storage.engine import open_engine
from strongroom.storage.statements import SQLITE, Statement
from tools.compiled_statements import compiled_statements

ROOT = Path(__file__).parents[3]

ORDINARY_WORK = """
import sys
from strongroom.domain.configurations.model import ConfigurationQuery
from strongroom.domain.secrets.model import SecretQuery
from strongroom.kernel.result import Sort
from strongroom.storage.store import open_storage
from tests.contract.storage.builders import *

storage = open_storage(sys.argv[1], stream="main")
group = add_group(storage)
secret, version = add_secret_with_version(storage, labels=("dev",))
storage.read(lambda unit: unit.secrets.find_current(secret.id))
storage.write(lambda unit: unit.versions.mark_read(secret.id, version.id, NOW))
storage.touch(secret.id, NOW)
storage.record(make_entry())
only = frozenset({group.id})
for query in (SecretQuery(limit=10), SecretQuery(limit=10, groups=only, sort=Sort(key="name"))):
    storage.read(lambda unit: unit.secrets.page(query))
storage.write(lambda unit: unit.secrets.save(unit.secrets.find_for_update(secret.id)))
storage.write(lambda unit: unit.secrets.remove(secret.id))
configuration = add_configuration(storage)
storage.write(lambda unit: unit.configurations.save(unit.configurations.find_for_update(configuration.id)))
for query in (ConfigurationQuery(limit=10), ConfigurationQuery(limit=10, search="x", sort=Sort(key="name"))):
    storage.read(lambda unit: unit.configurations.page(query))
authority = add_authority(storage, configuration)
issued = add_issued(storage, authority)
storage.write(lambda unit: unit.authorities.revoke(configuration.id, issued.serial, NOW, b"entry"))
storage.read(lambda unit: list(unit.authorities.revoked_entries(authority.id, NOW)))
storage.write(lambda unit: unit.authorities.put_crl(make_crl(authority)))
storage.write(lambda unit: unit.authorities.put_ocsp_signer(make_signer(authority)))
storage.write(lambda unit: unit.authorities.purge_issued(NOW, 10))
order = add_order(storage)
storage.write(lambda unit: unit.orders.save(unit.orders.find_for_update(order.id)))
storage.read(lambda unit: unit.orders.find_many([order.id] * 3))
storage.read(lambda unit: (unit.orders.open_of_secret("x"), unit.orders.last_of_secret("x"), unit.orders.forsaken(10)))
storage.read(lambda unit: (unit.orders.open_total(), unit.orders.with_records(10)))
storage.read(lambda unit: unit.orders.uses("x", "y", "z", NOW))
storage.read(lambda unit: (unit.orders.renewal_checks_due(NOW, 10), unit.orders.find_renewal_check("x")))
storage.write(lambda unit: (unit.orders.purge(NOW, 10), unit.orders.purge_uses(NOW, 10)))
storage.write(lambda unit: unit.orders.put_renewal_check(make_renewal_check(secret)))
storage.write(lambda unit: unit.orders.remove_renewal_check(secret.id))
storage.write(lambda unit: unit.events.noticed(unit.events.waiting(10), NOW))
storage.write(lambda unit: unit.secrets.set_notice(secret.id, None))
storage.read(lambda unit: unit.secrets.due_for_notice(NOW, 10))
destination = make_destination()
delivery = make_delivery(destination)
storage.write(lambda unit: (unit.notifications.register(make_registration()), unit.notifications.unregister()))
storage.write(lambda unit: (unit.notifications.add(destination), unit.notifications.add_delivery(delivery)))
storage.write(lambda unit: unit.notifications.save_delivery(delivery))
storage.write(lambda unit: unit.notifications.save(unit.notifications.find(destination.id)))
storage.read(lambda unit: (unit.notifications.registration(), unit.notifications.listing()))
storage.read(lambda unit: (unit.notifications.find_delivery(delivery.id), unit.notifications.open_deliveries()))
storage.read(lambda unit: unit.notifications.next_delivery(destination.id))
storage.read(lambda unit: unit.notifications.deliveries(destination.id, limit=1, offset=0))
storage.write(lambda unit: unit.notifications.end_deliveries(destination.id, NOW, ""))
storage.write(lambda unit: unit.notifications.purge_deliveries(NOW, 10))
storage.write(lambda unit: unit.notifications.remove(destination.id))
storage.ready()
storage.close()
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"sqlalchemy", "alembic"}, "a library for building statements was loaded"
"""


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_committed_texts_are_current(dialect: str) -> None:
    path = compiled.FOLDER / f"{dialect}.json"

    assert path.read_text(encoding="utf-8") == compiled_statements(dialect), "run: make fix"


def test_ordinary_work_builds_no_statement(empty_database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORDINARY_WORK, empty_database_url],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("content", [None, "{", "{}", '{"sources": "of another version", "statements": {"x": "y"}}'])
def test_texts_of_other_sources_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    if content is not None:
        (tmp_path / "sqlite.json").write_text(content, encoding="utf-8")
    compiled._read.cache_clear()
    try:
        assert compiled.compiled_texts(SQLITE) == {}
        assert compiled.compiled_schema(SQLITE) == []
        assert Statement("x", lambda _: "SELECT 1").sqlite == "SELECT 1"
        engine = open_engine(tmp_path / "strongroom.db", read_pool=1)
        migrate.ensure_schema(engine)
        connection = engine.open_writer()
        assert migrate.stored_revision(connection) == migrate.REVISION
        connection.close()
    finally:
        compiled._read.cache_clear()


def test_texts_carry_no_value() -> None:
    document = json.loads((compiled.FOLDER / "sqlite.json").read_text(encoding="utf-8"))

    assert len(document["statements"]) > 200
    assert all("param_" not in text for text in document["statements"].values())
