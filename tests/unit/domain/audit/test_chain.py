"""The hash chain: what it writes, and that no tampering goes unnoticed."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.domain.audit.chain import (
    GENESIS,
    BrokenChain,
    ChainHead,
    canonical,
    check_body,
    checkpoint_body,
    checkpoint_line,
    format_time,
    link,
    place_in_line,
    record_document,
    record_line,
    verify_export,
)
from strongroom.domain.audit.record import AuditEntry, AuditRecord, Initiator, Outcome, Reason, Target
from strongroom.kernel.ids import AuditId

START = datetime(2026, 3, 2, 9, 14, 7, 120, tzinfo=UTC)


def an_entry(number: int = 1, *, name: str = "deploy", reason: Reason | None = None) -> AuditEntry:
    return AuditEntry(
        id=AuditId(f"00000000-0000-4000-8000-{number:012d}"),
        time=START + timedelta(seconds=number),
        initiator=Initiator(
            id="iam-ServiceId-1", name=name, type="service_id", address="192.0.2.7", credential_id="ApiKey-1"
        ),
        action="secrets-manager.secret.read",
        target=Target(type="secret", id="s1", name="example.com", secret_group_id="default"),
        outcome=Outcome.DENIED if reason else Outcome.SUCCESS,
        reason=reason,
        request_id="req-1",
    )


class Signer:
    """An Ed25519 key that signs checkpoints."""

    key_id = "audit-1"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key_b64 = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, payload: bytes) -> str:
        return base64.b64encode(self._key.sign(payload)).decode()

    def line(self, *heads: ChainHead, starts_export: bool = False) -> str:
        places = {head.stream: (head.sequence, head.hash) for head in heads}
        body = checkpoint_body(START, places, self.key_id, starts_export=starts_export)
        return checkpoint_line(body, self.sign(body.encode()), self.public_key_b64)


def a_trail(signer: Signer, count: int = 12) -> list[str]:
    """Return an export of two streams, with a checkpoint after every fourth record."""
    heads = ChainHead("one"), ChainHead("two")
    lines = []
    for number in range(count):
        lines.append(record_line(heads[number % 2].append(an_entry(number))))
        if number % 4 == 3:
            lines.append(signer.line(*heads))
    return lines


def some_records(count: int, stream: str = "one") -> list[AuditRecord]:
    head = ChainHead(stream)
    return [head.append(an_entry(number)) for number in range(count)]


def test_first_record_follows_the_genesis_hash() -> None:
    record = ChainHead("one").append(an_entry())
    assert (record.sequence, record.previous_hash) == (1, GENESIS)
    assert record.hash == link(GENESIS, record.body)


def test_each_record_links_to_the_one_before() -> None:
    head = ChainHead("one")
    first, second = head.append(an_entry(1)), head.append(an_entry(2))
    assert second.previous_hash == first.hash
    assert (head.sequence, head.hash) == (2, second.hash)


def test_copy_of_a_head_goes_back_to_before_a_batch() -> None:
    head = ChainHead("one")
    head.append(an_entry(1))
    before = replace(head)
    again = head.append(an_entry(2))
    assert before.append(an_entry(2)) == again


def test_body_has_every_member_of_the_record_in_canonical_form() -> None:
    reason = Reason(code="forbidden", type="Unauthorized", message="no role")
    body = ChainHead("one").append(an_entry(3, reason=reason)).body
    assert json.loads(body) == {
        "id": "00000000-0000-4000-8000-000000000003",
        "stream": "one",
        "sequence": 1,
        "time": "2026-03-02T09:14:10.000120Z",
        "initiator": {
            "id": "iam-ServiceId-1",
            "name": "deploy",
            "type": "service_id",
            "address": "192.0.2.7",
            "credential_id": "ApiKey-1",
        },
        "action": "secrets-manager.secret.read",
        "target": {"type": "secret", "id": "s1", "name": "example.com", "secret_group_id": "default"},
        "outcome": "denied",
        "reason": {"code": "forbidden", "type": "Unauthorized", "message": "no role"},
        "request_id": "req-1",
    }
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


_texts = st.text(st.characters(codec=None))
_maybe = st.none() | _texts


@given(
    st.builds(
        AuditEntry,
        id=_texts.map(AuditId),
        time=st.datetimes(timezones=st.just(UTC)),
        initiator=st.builds(Initiator, id=_texts, name=_texts, type=_texts, address=_maybe, credential_id=_maybe),
        action=_texts,
        target=st.builds(Target, type=_texts, id=_maybe, name=_maybe, secret_group_id=_maybe),
        outcome=st.sampled_from(Outcome),
        reason=st.none() | st.builds(Reason, code=_texts, type=_texts, message=_texts),
        request_id=_maybe,
    ),
    _texts,
)
def test_body_is_canonical_whatever_the_values(entry: AuditEntry, stream: str) -> None:
    record = ChainHead(stream).append(entry)
    assert canonical(json.loads(record.body)) == record.body
    assert verify_export([record_line(record)]).verified


def test_members_without_a_value_are_left_out() -> None:
    entry = replace(
        an_entry(), initiator=Initiator(id="i", name="n", type="user"), target=Target(type="instance"), request_id=None
    )
    document = json.loads(ChainHead("one").append(entry).body)
    assert document["initiator"] == {"id": "i", "name": "n", "type": "user"}
    assert document["target"] == {"type": "instance"}
    assert not {"reason", "request_id"} & set(document)


def test_line_and_document_carry_both_hashes() -> None:
    record = ChainHead("one").append(an_entry())
    document = record_document(record)
    assert json.loads(record_line(record)) == document
    assert (document["previous_hash"], document["hash"]) == (GENESIS, record.hash)


@given(st.text(), st.text('":{},abcdhsequnt\\\\ 1'))
def test_place_of_a_record_is_read_from_its_line(stream: str, name: str) -> None:
    entry = an_entry(name=f'{name}","sequence":7,"stream":"else","target":{{}},"hash":"{"0" * 64}"}}')
    record = ChainHead(stream, 41).append(entry)
    assert place_in_line(record_line(record)) == (json.loads(record.body)["stream"], 42, record.hash)


def test_checkpoint_has_no_place() -> None:
    assert place_in_line(Signer().line(ChainHead("one", 3))) is None


def test_time_has_microseconds_and_utc() -> None:
    assert format_time(datetime(2026, 3, 2, 10, tzinfo=UTC)) == "2026-03-02T10:00:00.000000Z"


def test_half_a_surrogate_pair_does_not_stop_the_trail() -> None:
    record = ChainHead("one").append(an_entry(name="bad \ud800 name \U0001f510"))
    assert "bad � name \U0001f510" in record.body
    assert verify_export([record_line(record)]).verified


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text("abc_"), c),
    )
)
def test_canonical_text_is_a_fixed_point(value: object) -> None:
    text = canonical({"value": value})
    assert canonical(json.loads(text)) == text


def test_whole_export_verifies_and_counts() -> None:
    signer = Signer()
    result = verify_export(a_trail(signer), signer.public_key_b64)
    assert result.verified
    assert (result.streams, result.records, result.checkpoints) == (2, 12, 3)
    assert (result.partial, result.uncovered, result.signers) == (False, 0, (signer.public_key_b64,))
    assert result.document() == {"verified": True, "streams": 2, "records": 12, "checkpoints": 3, "uncovered": 0}


def test_records_after_the_last_checkpoint_are_counted_as_uncovered() -> None:
    assert verify_export(a_trail(Signer(), 14)).uncovered == 2


def test_empty_export_verifies_as_nothing() -> None:
    assert verify_export(["\n", ""]).records == 0


def test_blank_lines_and_line_ends_do_not_matter() -> None:
    assert verify_export(line + "\r\n" for line in a_trail(Signer())).verified


def test_checkpoint_may_stand_before_the_records_it_names() -> None:
    signer = Signer()
    lines = a_trail(signer)
    lines[2], lines[4] = lines[4], lines[2]
    lines[3:5] = lines[4:2:-1]
    assert verify_export(lines, signer.public_key_b64).verified


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"name":"deploy"', '"name":"nobody"'),
        ('"outcome":"success"', '"outcome":"denied"'),
        ('"sequence":2', '"sequence":3'),
        ('"outcome":"success"', '"outcome":"success","extra":1'),
        ('"request_id":"req-1",', ""),
        ('"address":"192.0.2.7"', '"address":"192.0.2.8"'),
    ],
)
def test_changed_record_is_noticed(old: str, new: str) -> None:
    lines = a_trail(Signer())
    assert old in lines[2]
    lines[2] = lines[2].replace(old, new)
    result = verify_export(lines)
    assert not result.verified
    assert result.first_broken
    assert "stream one, record 2" in result.first_broken
    assert result.document()["first_broken"] == result.first_broken


@pytest.mark.parametrize("position", [0, 1, 2, 3, 5, 11])
def test_removed_record_is_noticed(position: int) -> None:
    lines = a_trail(Signer())
    del lines[position]
    result = verify_export(lines)
    assert not result.verified
    assert "missing" in str(result.first_broken)


def test_inserted_record_is_noticed() -> None:
    lines = a_trail(Signer())
    lines.insert(2, lines[0])
    assert "number 1 stands in its place" in str(verify_export(lines).first_broken)


def test_reordered_records_are_noticed() -> None:
    lines = a_trail(Signer())
    lines[0], lines[2] = lines[2], lines[0]
    assert not verify_export(lines).verified


def test_truncated_tail_behind_a_checkpoint_is_noticed() -> None:
    signer = Signer()
    lines = a_trail(signer)
    result = verify_export([*lines[:-3], lines[-1]], signer.public_key_b64)
    assert result.first_broken == "stream one, record 6: it is missing, a checkpoint knows of it"


def test_removed_stream_is_noticed() -> None:
    lines = [line for line in a_trail(Signer()) if '"stream":"two"' not in line]
    assert not verify_export(lines).verified


def test_chain_computed_anew_contradicts_the_checkpoint() -> None:
    signer = Signer()
    honest = some_records(3)
    head = ChainHead("one", honest[-1].sequence, honest[-1].hash)
    forged_head = ChainHead("one")
    forged = [record_line(forged_head.append(an_entry(number, name="someone else"))) for number in range(3)]
    for lines in ([*forged, signer.line(head)], [forged[0], signer.line(head), *forged[1:]]):
        assert "a checkpoint has another hash for it" in str(verify_export(lines).first_broken)


def test_two_checkpoints_that_disagree_are_noticed() -> None:
    signer = Signer()
    lines = [signer.line(ChainHead("one", 5, "a" * 64)), signer.line(ChainHead("one", 5, "b" * 64))]
    assert "two checkpoints" in str(verify_export(lines).first_broken)


def test_forged_checkpoint_is_noticed() -> None:
    lines = a_trail(Signer())
    lines[4] = lines[4].replace("2026-03-02", "2026-03-03")
    assert "line 5: The signature does not fit" in str(verify_export(lines).first_broken)


def test_checkpoint_of_another_key_is_refused_when_the_key_is_known() -> None:
    lines = a_trail(Signer())
    assert verify_export(lines).verified
    assert "another key" in str(verify_export(lines, Signer().public_key_b64).first_broken)


def test_export_from_the_middle_starts_at_its_signed_start() -> None:
    signer = Signer()
    records = some_records(6)
    idle = ChainHead("idle", 9, "c" * 64)
    start = signer.line(ChainHead("one", 2, records[1].hash), idle, starts_export=True)
    middle = signer.line(ChainHead("one", 4, records[3].hash), idle)
    earlier = signer.line(ChainHead("one", 1, records[0].hash), idle)
    lines = [start, record_line(records[2]), earlier, record_line(records[3]), middle, record_line(records[4])]
    result = verify_export(lines, signer.public_key_b64)
    assert (result.verified, result.partial, result.records, result.streams) == (True, True, 3, 1)
    assert not verify_export([start, *lines[3:]]).verified, "first record removed"
    assert not verify_export(lines[1:]).verified, "start removed"
    assert "middle" in str(verify_export([*lines, start]).first_broken)


def test_ordinary_checkpoint_does_not_start_an_export() -> None:
    signer = Signer()
    records = some_records(4)
    checkpoint = signer.line(ChainHead("one", 2, records[1].hash))
    assert not verify_export([checkpoint, *map(record_line, records[2:])]).verified


def test_checkpoint_far_behind_its_records_is_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.domain.audit.chain._REMEMBERED", 3)
    signer = Signer()
    records = some_records(6)
    lines = [record_line(record) for record in records]
    near = signer.line(ChainHead("one", 4, records[3].hash))
    far = signer.line(ChainHead("one", 2, records[1].hash))
    assert verify_export([*lines, near]).verified
    assert not verify_export([*lines, far]).verified


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '"text"',
        "{}",
        '{"stream":"one","sequence":1}',
        '{"stream":"one","sequence":true,"previous_hash":"","hash":""}',
        '{"stream":1,"sequence":1,"previous_hash":"","hash":""}',
        '{"stream":"one","stream":"two"}',
        '{"stream":"one","sequence":1.0,"previous_hash":"","hash":""}',
        '{"stream":"one","sequence":1,"x":NaN,"previous_hash":"","hash":""}',
        '{"stream":"one","sequence":1,"x":1e999,"previous_hash":"","hash":""}',
        "[" * 100_000,
        '{"x":' * 5_000 + "1" + "}" * 5_000,
        '{"checkpoint":{}}',
        '{"checkpoint":{},"signature":"AA==","public_key":"!"}',
        '{"checkpoint":{},"signature":"AA==","public_key":"AA=="}',
    ],
)
def test_line_that_is_neither_record_nor_checkpoint_is_named(line: str) -> None:
    result = verify_export([line])
    assert not result.verified
    assert str(result.first_broken).startswith("line 1: ")


@pytest.mark.parametrize("body", ['{"checkpoint":{}}', '{"checkpoint":[]}', '{"checkpoint":{"heads":{"one":5}}}'])
def test_signed_checkpoint_without_heads_is_refused(body: str) -> None:
    signer = Signer()
    line = checkpoint_line(body, signer.sign(body.encode()), signer.public_key_b64)
    assert "names no heads" in str(verify_export([line]).first_broken)


def test_stored_record_that_was_filed_elsewhere_is_noticed() -> None:
    record = some_records(1)[0]
    check_body(record)
    with pytest.raises(BrokenChain, match="moved here"):
        check_body(replace(record, sequence=2))


def _mutations(lines: list[str], seed: int) -> Iterator[list[str]]:
    chance = random.Random(seed)
    for _ in range(20):
        changed = list(lines)
        position = chance.randrange(len(lines))
        line = changed[position]
        at = chance.randrange(len(line))
        replacement = chr(33 + (ord(line[at]) - 33 + chance.randrange(1, 90)) % 94)
        changed[position] = line[:at] + replacement + line[at + 1 :]
        yield changed


@settings(max_examples=20)
@given(st.integers(min_value=0, max_value=2**32))
def test_no_changed_character_goes_unnoticed(seed: int) -> None:
    signer = Signer()
    lines = a_trail(signer)
    for changed in _mutations(lines, seed):
        assert not verify_export(changed, signer.public_key_b64).verified
