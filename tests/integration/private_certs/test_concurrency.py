"""Many who issue, revoke and fetch lists at once, while the CA is rotated and changed: in one process, and in two."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.peers.server import Answer, LiveServer, running
from tests.soak.random_certificates import CertificateWriter, Tree

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ROUNDS = 6
SECRETS = "/api/v2/secrets"
FILES = "/v1/ibmcloud/private_cert/config/certificate_authorities"
CONFIGURATIONS = "/api/v2/configurations"
REVOKE = {"action_type": "private_cert_action_revoke_certificate"}
ROTATE = {"action_type": "private_cert_configuration_action_rotate_intermediate"}
REBUILD = {"action_type": "private_cert_configuration_action_rotate_crl"}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[LiveServer]:
    """Give a server on SQLite."""
    with running(tmp_path / "data", tls=False) as server:
        yield server


@pytest.fixture
def two(tmp_path: Path, postgres_url: str) -> Iterator[list[LiveServer]]:
    """Give two servers on one PostgreSQL database."""
    environment = {"STRONGROOM_DATABASE_URL": postgres_url}
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path / "first", tls=False, environment=environment))
        other = tmp_path / "second"
        other.mkdir(mode=0o700)
        for name in ("master.key", "admin-apikey"):
            shutil.copy2(first.data_dir / name, other)
        yield [first, stack.enter_context(running(other, tls=False, environment=environment))]


def work_at_once(servers: list[LiveServer], tree: Tree, *, threads: int) -> list[CertificateWriter]:
    """Issue, rotate, revoke and fetch with many threads, while the CA and its template change."""
    enough = threading.Event()
    writers = [CertificateWriter(number, 1, tree) for number in range(1, threads + 1)]
    places = [servers[number % len(servers)] for number in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        working = [
            pool.submit(writer.write, server, server.token(), enough)
            for writer, server in zip(writers, places, strict=True)
        ]
        try:
            for number in range(ROUNDS):
                server = servers[number % len(servers)]
                enough.wait(0.4)
                changed = server.request("PATCH", f"{CONFIGURATIONS}/{tree.name}", {"crl_expiry": f"{72 + number}h"})
                assert changed.status == 200, changed.raw
                changed = server.request(
                    "PATCH", f"{CONFIGURATIONS}/{tree.name}-leaves", {"max_ttl": f"{400 + number}h"}
                )
                assert changed.status == 200, changed.raw
                if number % 2:
                    rotated = server.request("POST", f"{CONFIGURATIONS}/{tree.name}/actions", ROTATE)
                    assert rotated.status == 201, rotated.raw
        finally:
            enough.set()
        for done in working:
            done.result(30)
    return writers


def judge(server: LiveServer, tree: Tree, writers: list[CertificateWriter]) -> None:
    for writer in writers:
        # The first one also asks OCSP about everything that was issued.
        writer.number -= 1
        writer.check(server, everything=True)
    assert tree.lost == []
    assert len(tree.issued) > len(writers)
    assert sum(len(serials) for serials in tree.revoked.values()) > 0
    assert len(tree.lists) > 1
    assert sum(writer.overtaken for writer in writers) < len(tree.issued)


def test_certificates_are_issued_and_revoked_while_their_ca_is_rotated_and_changed(one: LiveServer) -> None:
    tree = Tree("issuing")
    tree.make(one)
    judge(one, tree, work_at_once([one], tree, threads=8))


@pytest.mark.peers
def test_two_processes_issue_and_revoke_while_the_ca_is_rotated_and_changed(two: list[LiveServer]) -> None:
    tree = Tree("issuing")
    tree.make(two[0])
    writers = work_at_once(two, tree, threads=6)
    judge(two[1], tree, writers)


@pytest.mark.peers
def test_revocation_in_one_process_is_on_the_next_list_of_the_other(two: list[LiveServer]) -> None:
    tree = Tree("issuing")
    tree.make(two[0])
    last = 0
    for number in range(8):
        here, there = two[number % 2], two[(number + 1) % 2]
        secret = issue(here, f"leaf-{number}")
        serial = int(secret["serial_number"].replace(":", ""), 16)
        revoked = here.request("POST", f"{SECRETS}/{secret['id']}/actions", REVOKE)
        assert revoked.status == 201, revoked.raw
        crl = fetched(there)
        assert crl.get_revoked_certificate_by_serial_number(serial) is not None
        assert number_of(crl) > last
        last = number_of(crl)
        # The other one gives the same list, and no second of its own.
        assert fetched(here) == crl


@pytest.mark.peers
def test_lists_that_two_processes_build_at_once_have_numbers_of_their_own(two: list[LiveServer]) -> None:
    tree = Tree("issuing")
    tree.make(two[0])

    def rebuild(server: LiveServer) -> Answer:
        return server.request("POST", f"{CONFIGURATIONS}/issuing/actions", REBUILD)

    first = number_of(fetched(two[0]))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            answers = list(pool.map(rebuild, [*two, *two]))
            assert {answer.status for answer in answers} == {201}
    lists = [fetched(server) for server in two]
    assert lists[0] == lists[1]
    assert number_of(lists[0]) == first + 20


def issue(server: LiveServer, name: str) -> dict[str, Any]:
    body = {
        "secret_type": "private_cert",
        "name": name,
        "certificate_template": "issuing-leaves",
        "common_name": "localhost",
    }
    answer = server.request("POST", SECRETS, body)
    assert answer.status == 201, answer.raw
    return dict(answer.json)


def fetched(server: LiveServer) -> x509.CertificateRevocationList:
    answer = server.request("GET", f"{FILES}/issuing/crl", token=None)
    assert answer.status == 200, answer.raw
    return x509.load_der_x509_crl(answer.raw)


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
