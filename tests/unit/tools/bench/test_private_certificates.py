from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from cryptography import x509

from strongroom.pki import der
from tools.bench.certificates import csr_pem, question, require_certificate
from tools.bench.figures import Bound, Gate
from tools.bench.load import Turn
from tools.bench.private_certificates import IssueRsa
from tools.bench.strongroom_authorities import add_revoked
from tools.bench.wire import UnexpectedAnswerError

RSA = IssueRsa(
    name="issue-rsa",
    what="issue",
    load=8,
    filled=Gate(row=7, minimum=Bound(value=10.0), goal=None),
    empty=Gate(row=8, minimum=Bound(value=1.1), goal=None),
)


def turn(*, marked_s: float | None) -> Turn:
    figures = {"p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 3.0, "cpu_ms": 0.25}
    return Turn(requests=155, per_second=25.0, errors=0, duration_s=5.0, marked=55, marked_s=marked_s, **figures)


def test_a_turn_is_split_where_the_keys_end() -> None:
    filled, empty = RSA._figures([turn(marked_s=None)], [turn(marked_s=0.1)])

    assert filled.judged is not None
    assert filled.own == pytest.approx(550.0)
    assert filled.judged.median == pytest.approx(22.0)
    assert empty.own == pytest.approx(100 / 4.9)


def test_a_turn_with_fewer_answers_than_keys_is_no_figure() -> None:
    with pytest.raises(UnexpectedAnswerError, match="only 155 answers came"):
        RSA._figures([turn(marked_s=None)], [turn(marked_s=None)])


def test_a_certificate_of_another_key_is_noticed(self_signed_pem: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match="does not belong"):
        require_certificate(self_signed_pem, self_signed_pem, None)
    assert x509.load_pem_x509_csr(csr_pem().encode()).is_signature_valid


def test_a_question_fits_into_an_address(self_signed_pem: str) -> None:
    assert not set(question(self_signed_pem, self_signed_pem)) & set("/+=")


def test_revoked_certificates_are_written_with_entries_that_a_list_can_hold(tmp_path: Path) -> None:
    database = tmp_path / "strongroom.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            """
            CREATE TABLE configurations (pk INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE authorities (pk INTEGER PRIMARY KEY, configuration_pk INTEGER, crl_wanted INTEGER);
            CREATE TABLE issued_certificates (configuration_pk INTEGER, authority_pk INTEGER, serial TEXT, kind TEXT,
              issued_at INTEGER, not_after INTEGER, revoked_at INTEGER, crl_entry BLOB);
            INSERT INTO configurations VALUES (3, 'issuing-ec');
            INSERT INTO authorities VALUES (5, 3, 1);
            """
        )

    add_revoked(database, 2)

    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT configuration_pk, authority_pk, serial, crl_entry FROM issued_certificates")
        found = rows.fetchall()
        assert connection.execute("SELECT crl_wanted FROM authorities").fetchall() == [(2,)]
    assert [row[:2] for row in found] == [(3, 5), (3, 5)]
    for _, _, serial, entry in found:
        first = der.read_children(der.read_only(entry, der.SEQUENCE).content)[0]
        assert int.from_bytes(first.content, "big") == int(serial, 16)
