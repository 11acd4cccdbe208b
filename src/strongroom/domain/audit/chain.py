"""The hash chain of an audit stream, and the text of its records and checkpoints.

Every process writes one *stream*. A record's ``hash`` is the SHA-256 of the hash before it, a line
feed, and the record's *body*: the canonical JSON (RFC 8785: sorted members, no spaces, UTF-8) of
everything but the two hashes. Changing, removing, inserting or moving a record breaks the chain
from there on. Every minute a *checkpoint*, signed with the server's key, names the heads of all
streams, so that a cut tail or a chain computed anew is noticed too.

An export has one JSON object per line, in the order in which the records were stored:

* a record, with ``previous_hash`` and ``hash`` beside the members of its body, which can therefore
  be rebuilt from the line alone;
* a checkpoint, ``{"checkpoint": {"heads", "key_id", "time"}, "signature", "public_key"}``; what is
  signed is the canonical JSON of the object with ``checkpoint`` as its only member.

Within a stream the records of an export are contiguous. An export that starts later than the trail
begins with a checkpoint made for it, which names the heads just before its first record and has the
member ``starts_export``. Every export closes with a checkpoint that covers all of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn

from strongroom.domain.audit.record import AuditEntry, AuditRecord
from strongroom.kernel.errors import ErrorCode, Integrity
from strongroom.kernel.result import Json
from strongroom.pki.signatures import verify_ed25519

GENESIS: Final = "0" * 64
"""What the first record of a stream has in place of a previous hash."""

_PLACE: Final = re.compile(
    r'"sequence":(\d+),"stream":("(?:[^"\\]|\\.)*"),"target":.*,"hash":"([0-9a-f]{64})"\}$', re.DOTALL
)
_quote = json.encoder.encode_basestring
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(document: Mapping[str, object]) -> str:
    """Return the canonical JSON of an object whose member names are ASCII and whose numbers are integers.

    Source: RFC 8785 section 3.2.
    """
    return _in_utf8(_encode(document))


def _in_utf8(text: str) -> str:
    """Replace halves of surrogate pairs, which have no UTF-8 form; the trail keeps the record."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def format_time(instant: datetime) -> str:
    """Return RFC 3339 text with microseconds; records of one second stay in order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def record_body(entry: AuditEntry, *, stream: str, sequence: int) -> str:
    """Return the text of an entry at its place in a stream: what is hashed and stored.

    It is the canonical JSON, put together by hand because every read of a secret pays for it. Members
    without a value are left out: as everywhere in the API, null is never written.
    """
    who, target, reason = entry.initiator, entry.target, entry.reason
    text = (
        f'{{"action":{_quote(entry.action)},"id":{_quote(entry.id)},"initiator":{{'
        + (f'"address":{_quote(who.address)},' if who.address is not None else "")
        + (f'"credential_id":{_quote(who.credential_id)},' if who.credential_id is not None else "")
        + f'"id":{_quote(who.id)},"name":{_quote(who.name)},"type":{_quote(who.type)}}},'
        + f'"outcome":{_quote(entry.outcome.value)},'
    )
    if reason is not None:
        code, message = _quote(reason.code), _quote(reason.message)
        text += f'"reason":{{"code":{code},"message":{message},"type":{_quote(reason.type)}}},'
    if entry.request_id is not None:
        text += f'"request_id":{_quote(entry.request_id)},'
    text += (
        f'"sequence":{sequence},"stream":{_quote(stream)},"target":{{'
        + (f'"id":{_quote(target.id)},' if target.id is not None else "")
        + (f'"name":{_quote(target.name)},' if target.name is not None else "")
        + (f'"secret_group_id":{_quote(target.secret_group_id)},' if target.secret_group_id is not None else "")
        + f'"type":{_quote(target.type)}}},"time":"{format_time(entry.time)}"}}'
    )
    return _in_utf8(text)


def link(previous_hash: str, body: str) -> str:
    """Return the hash of a record, given the hash before it."""
    return hashlib.sha256(f"{previous_hash}\n{body}".encode()).hexdigest()


@dataclass(slots=True)
class ChainHead:
    """The end of one stream, where the next record is added.

    Not safe for threads: it belongs to the thread that writes the stream. `dataclasses.replace`
    makes a copy to go back to when a commit fails.

    Attributes:
        sequence: number of the last record; 0 before the first.
        hash: hash of the last record; `GENESIS` before the first.
    """

    stream: str
    sequence: int = 0
    hash: str = GENESIS

    def append(self, entry: AuditEntry) -> AuditRecord:
        """Give the entry the next place in the chain, and move the head there."""
        sequence = self.sequence + 1
        body = record_body(entry, stream=self.stream, sequence=sequence)
        record = AuditRecord(
            stream=self.stream,
            sequence=sequence,
            body=body,
            previous_hash=self.hash,
            hash=link(self.hash, body),
        )
        self.sequence, self.hash = sequence, record.hash
        return record


def record_line(record: AuditRecord) -> str:
    """Return a record's line of an export, without a line end."""
    return f'{record.body[:-1]},"previous_hash":"{record.previous_hash}","hash":"{record.hash}"}}'


def place_in_line(line: str) -> tuple[str, int, str] | None:
    """Return stream, number and hash of a record's line without reading all of it; ``None`` for a checkpoint.

    The line is one of `record_line`. No text inside of it can be taken for its members: there, quotes
    have a backslash before them.
    """
    match = _PLACE.search(line)
    if match is None:
        return None
    stream: str = json.loads(match[2])
    return stream, int(match[1]), match[3]


def record_document(record: AuditRecord) -> Json:
    """Return a record as the API shows it."""
    document: Json = json.loads(record.body)
    document["previous_hash"] = record.previous_hash
    document["hash"] = record.hash
    return document


def checkpoint_body(
    at: datetime, heads: Mapping[str, tuple[int, str]], key_id: str, *, starts_export: bool = False
) -> str:
    """Return the text of a checkpoint: what is signed and stored.

    Args:
        at: when the heads were read; for the start of an export the instant it begins at.
        heads: number and hash of the last record of every stream.
        key_id: which key signs it.
        starts_export: whether it stands for the records that an export leaves out.
    """
    places = {stream: [sequence, digest] for stream, (sequence, digest) in heads.items()}
    checkpoint: Json = {"heads": places, "key_id": key_id, "time": format_time(at)}
    if starts_export:
        checkpoint["starts_export"] = True
    return canonical({"checkpoint": checkpoint})


def checkpoint_line(body: str, signature: str, public_key: str) -> str:
    """Return a checkpoint's line of an export, without a line end."""
    return f'{body[:-1]},"signature":{_encode(signature)},"public_key":{_encode(public_key)}}}'


class BrokenChain(Exception):
    """Something in the trail does not fit; the text says where and what."""

    @classmethod
    def at(cls, stream: str, sequence: int, what: str) -> BrokenChain:
        """Name the record that does not fit."""
        return cls(f"stream {stream}, record {sequence}: {what}")


@dataclass(frozen=True, slots=True)
class Place:
    """A record's position in its stream, and the hash that it has there."""

    sequence: int
    hash: str


START: Final = Place(0, GENESIS)


def follow(place: Place, record: AuditRecord) -> Place:
    """Check that a record comes right after a place of its stream, and return its own place.

    Raises:
        BrokenChain: number, previous hash, hash or body do not fit.
    """
    stream, expected = record.stream, place.sequence + 1
    if record.sequence != expected:
        what = "it is missing" if record.sequence > expected else f"number {record.sequence} stands in its place"
        raise BrokenChain.at(stream, expected, what)
    if record.previous_hash != place.hash:
        raise BrokenChain.at(stream, expected, "its previous_hash is not the hash of the record before it")
    if link(record.previous_hash, record.body) != record.hash:
        raise BrokenChain.at(stream, expected, "its hash does not fit what it says")
    return Place(record.sequence, record.hash)


def check_body(record: AuditRecord) -> None:
    """Check that a stored record is filed where its hashed text says.

    Raises:
        BrokenChain: stream or number differ.
    """
    body = _parse(record.body)
    if (body.get("stream"), body.get("sequence")) != (record.stream, record.sequence):
        raise BrokenChain.at(record.stream, record.sequence, "it was moved here from another place")


def read_checkpoint(body: str, signature: str, public_key: str) -> dict[str, Place]:
    """Check a checkpoint's signature and return the heads it names.

    Raises:
        Integrity: ``integrity_failed`` if it is malformed or its signature does not fit.
    """
    verify_ed25519(public_key, body.encode(), signature)
    try:
        heads: Json = _parse(body)["checkpoint"]["heads"]
        return {str(stream): Place(int(sequence), str(digest)) for stream, (sequence, digest) in heads.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "The checkpoint names no heads.") from None


def _parse(text: str) -> Json:
    """Read one JSON object; a member that stands there twice is refused, as readers differ on it."""
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "It is not a JSON object.") from None
    if not isinstance(document, dict):
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "It is not a JSON object.")
    return document


def _refuse(text: str) -> NoReturn:
    """Refuse numbers that are no integers: a trail has none, and their text is not canonical."""
    raise ValueError(text)


def _unique(pairs: list[tuple[str, object]]) -> Json:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """What checking a trail found.

    Attributes:
        verified: nothing was changed, removed, inserted or moved.
        streams: chains seen.
        records: records checked; up to the broken one.
        first_broken: stream, number and what is wrong with the first record that does not fit.
        partial: the export says itself that it starts later than the trail.
        checkpoints: checkpoints checked.
        uncovered: records after the last checkpoint; whether more followed them, nothing proves.
        signers: public keys of the checkpoints. Unless one was demanded, compare them with the server's.
    """

    verified: bool
    streams: int
    records: int
    first_broken: str | None = None
    partial: bool = False
    checkpoints: int = 0
    uncovered: int = 0
    signers: tuple[str, ...] = ()

    def document(self) -> Json:
        """Return it as the ``result`` of a verification job."""
        document: Json = {
            "verified": self.verified,
            "streams": self.streams,
            "records": self.records,
            "checkpoints": self.checkpoints,
            "uncovered": self.uncovered,
        }
        if self.first_broken is not None:
            document["first_broken"] = self.first_broken
        return document


_REMEMBERED: Final = 100_000
"""How far back, in records of one stream, a checkpoint may point; it follows its heads within seconds."""


class _Stream:
    """What an export has shown of one stream."""

    def __init__(self, start: Place) -> None:
        self.start = start
        self.last = start
        self._recent: deque[str] = deque((start.hash,), maxlen=_REMEMBERED)
        self.claims: dict[int, str] = {}
        self.covered = start.sequence

    def move(self, stream: str, place: Place) -> None:
        self.last = place
        self._recent.append(place.hash)
        claimed = self.claims.pop(place.sequence, None)
        if claimed is not None and claimed != place.hash:
            raise BrokenChain.at(stream, place.sequence, "a checkpoint has another hash for it")

    def claim(self, stream: str, place: Place) -> None:
        """Hold the stream to the head that a checkpoint names."""
        self.covered = max(self.covered, place.sequence)
        if place.sequence > self.last.sequence:
            if self.claims.setdefault(place.sequence, place.hash) != place.hash:
                raise BrokenChain.at(stream, place.sequence, "two checkpoints have different hashes for it")
            return
        back = self.last.sequence - place.sequence
        if place.sequence < self.start.sequence:
            return
        if back >= len(self._recent) or self._recent[-1 - back] != place.hash:
            raise BrokenChain.at(stream, place.sequence, "a checkpoint has another hash for it")


class ExportVerifier:
    """Checks an export line by line, in memory that does not grow with it."""

    def __init__(self, public_key: str | None) -> None:
        self._public_key = public_key
        self._streams: dict[str, _Stream] = {}
        self._lines = 0
        self._records = 0
        self._checkpoints = 0
        self._partial = False
        self._signers: dict[str, None] = {}

    def add(self, line: str) -> None:
        """Check the next line.

        Raises:
            BrokenChain: it does not fit the lines before it.
        """
        self._lines += 1
        try:
            document = _parse(line)
            if "checkpoint" in document:
                self._add_checkpoint(document)
                return
            record = _record_of(document)
        except Integrity as problem:
            raise BrokenChain(f"line {self._lines}: {problem.detail}") from None
        except RecursionError:
            raise BrokenChain(f"line {self._lines}: It is nested too deeply.") from None
        stream = self._streams.setdefault(record.stream, _Stream(START))
        stream.move(record.stream, follow(stream.last, record))
        self._records += 1

    def finish(self) -> None:
        """Check that nothing is missing behind the last line.

        Raises:
            BrokenChain: a checkpoint knows of records that the export lacks.
        """
        for name, stream in self._streams.items():
            if stream.claims:
                raise BrokenChain.at(name, stream.last.sequence + 1, "it is missing, a checkpoint knows of it")

    def result(self, first_broken: str | None) -> VerificationResult:
        """Return what was found up to here."""
        return VerificationResult(
            verified=first_broken is None,
            streams=sum(stream.last.sequence > stream.start.sequence for stream in self._streams.values()),
            records=self._records,
            first_broken=first_broken,
            partial=self._partial,
            checkpoints=self._checkpoints,
            uncovered=sum(max(0, stream.last.sequence - stream.covered) for stream in self._streams.values()),
            signers=tuple(self._signers),
        )

    def _add_checkpoint(self, document: Json) -> None:
        signature, public_key = document.pop("signature", None), document.pop("public_key", None)
        if not isinstance(signature, str) or not isinstance(public_key, str):
            raise Integrity(ErrorCode.INTEGRITY_FAILED, "The checkpoint has no signature or no public key.")
        if self._public_key is not None and public_key != self._public_key:
            raise Integrity(ErrorCode.INTEGRITY_FAILED, "The checkpoint was signed with another key than the server's.")
        heads = read_checkpoint(canonical(document), signature, public_key)
        self._signers[public_key] = None
        self._checkpoints += 1
        if document["checkpoint"].get("starts_export") is True:
            if self._lines > 1:
                raise Integrity(ErrorCode.INTEGRITY_FAILED, "The start of an export stands in its middle.")
            self._partial = True
            self._streams = {name: _Stream(place) for name, place in heads.items()}
            return
        for name, place in heads.items():
            self._streams.setdefault(name, _Stream(START)).claim(name, place)


def _record_of(document: Json) -> AuditRecord:
    previous_hash, digest = document.pop("previous_hash", None), document.pop("hash", None)
    stream, sequence = document.get("stream"), document.get("sequence")
    if not (isinstance(previous_hash, str) and isinstance(digest, str)):
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "The record has no previous_hash or no hash.")
    if not isinstance(stream, str) or not isinstance(sequence, int) or isinstance(sequence, bool):
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "The record has no stream or no sequence.")
    return AuditRecord(
        stream=stream, sequence=sequence, body=canonical(document), previous_hash=previous_hash, hash=digest
    )


def verify_export(lines: Iterable[str], public_key: str | None = None) -> VerificationResult:
    """Check the lines of an export, without a server; blank lines are skipped.

    Args:
        lines: the export, however the file was opened.
        public_key: base64 of the one Ed25519 key that may have signed the checkpoints. Without it the
            keys named in the export are used, which proves that it is whole, not who wrote it.
    """
    verifier = ExportVerifier(public_key)
    try:
        for line in lines:
            if line.strip():
                verifier.add(line)
        verifier.finish()
    except BrokenChain as broken:
        return verifier.result(str(broken))
    return verifier.result(None)
