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
begins with the last checkpoint before its first record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from strongroom.domain.audit.record import AuditEntry, AuditRecord
from strongroom.kernel.result import Json

GENESIS: Final = "0" * 64
"""What the first record of a stream has in place of a previous hash."""

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(document: Mapping[str, object]) -> str:
    """Return the canonical JSON of an object whose member names are ASCII and whose numbers are integers.

    Source: RFC 8785 section 3.2.
    """
    text = _encode(document)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair has no UTF-8 form; the trail keeps the record and marks the spot.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def format_time(instant: datetime) -> str:
    """Return RFC 3339 text with microseconds; records of one second stay in order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def record_body(entry: AuditEntry, *, stream: str, sequence: int) -> str:
    """Return the text of an entry at its place in a stream: what is hashed and stored."""
    initiator, target, reason = entry.initiator, entry.target, entry.reason
    return canonical(
        {
            "action": entry.action,
            "id": entry.id,
            "initiator": {
                "address": initiator.address,
                "credential_id": initiator.credential_id,
                "id": initiator.id,
                "name": initiator.name,
                "type": initiator.type,
            },
            "outcome": entry.outcome.value,
            "reason": None if reason is None else {"code": reason.code, "message": reason.message, "type": reason.type},
            "request_id": entry.request_id,
            "sequence": sequence,
            "stream": stream,
            "target": {
                "id": target.id,
                "name": target.name,
                "secret_group_id": target.secret_group_id,
                "type": target.type,
            },
            "time": format_time(entry.time),
        }
    )


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


def record_document(record: AuditRecord) -> Json:
    """Return a record as the API shows it."""
    document: Json = json.loads(record.body)
    document["previous_hash"] = record.previous_hash
    document["hash"] = record.hash
    return document


def checkpoint_body(at: datetime, heads: Mapping[str, tuple[int, str]], key_id: str) -> str:
    """Return the text of a checkpoint: what is signed and stored."""
    places = {stream: [sequence, digest] for stream, (sequence, digest) in heads.items()}
    return canonical({"checkpoint": {"heads": places, "key_id": key_id, "time": format_time(at)}})


def checkpoint_line(body: str, signature: str, public_key: str) -> str:
    """Return a checkpoint's line of an export, without a line end."""
    return f'{body[:-1]},"signature":{_encode(signature)},"public_key":{_encode(public_key)}}}'
