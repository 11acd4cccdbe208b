"""Looking into the trail, taking it away, checking it, and sealing its heads every minute."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from strongroom.domain.audit.chain import (
    GENESIS,
    BrokenChain,
    Place,
    VerificationResult,
    check_body,
    checkpoint_body,
    checkpoint_line,
    follow,
    place_in_line,
    read_checkpoint,
)
from strongroom.domain.audit.record import AuditRecord
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Continue, Done, Step
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Integrity

VERIFY_KIND: Final = "audit.verify"
_EXPORT_LINES: Final = 1000
_RECORDS_PER_STEP: Final = 2000
_CHECKPOINTS_PER_STEP: Final = 500


class CheckpointSigner(Protocol):
    """The server's audit key."""

    @property
    def key_id(self) -> str:
        """Return the short name of the key."""
        ...

    @property
    def public_key_b64(self) -> str:
        """Return the raw public key in base64."""
        ...

    def sign(self, payload: bytes) -> str:
        """Return an Ed25519 signature in base64."""
        ...


class AuditTrail:
    """The stored trail as a whole."""

    def __init__(self, storage: Storage, clock: Clock, signer: CheckpointSigner) -> None:
        self._storage = storage
        self._clock = clock
        self._signer = signer

    def export(self, from_time: datetime | None, to_time: datetime | None) -> Iterator[str]:
        """Yield the lines of an export, oldest first, each without its line end.

        Read in short units, so that a slow reader holds nothing up. The first line states the heads
        that the records left out had, the last one the heads at the end (see `chain`).
        """
        now = self._clock.now()
        # In one read: a commit between two could bring a record with an earlier place, where the first page would
        # begin then, and the heads would not.
        heads, (lines, after) = self._storage.read(_ExportStart(from_time, to_time))
        if heads:
            yield self._line(from_time or now, heads, starts_export=True)
        while True:
            for line in lines:
                place = place_in_line(line)
                if place is not None:
                    heads[place[0]] = place[1:]
            yield from lines
            if after is None:
                break
            lines, after = self._storage.read(_ExportPage(from_time, to_time, after))
        if heads:
            yield self._line(to_time or now, heads)

    def _line(self, at: datetime, heads: Mapping[str, tuple[int, str]], *, starts_export: bool = False) -> str:
        body = checkpoint_body(at, heads, self._signer.key_id, starts_export=starts_export)
        return checkpoint_line(body, self._signer.sign(body.encode()), self._signer.public_key_b64)


@dataclass(frozen=True, slots=True)
class _ExportStart:
    from_time: datetime | None
    to_time: datetime | None

    def __call__(self, unit: ReadUnit) -> tuple[dict[str, tuple[int, str]], tuple[list[str], str | None]]:
        heads = unit.audit_trail.heads(self.from_time) if self.from_time else {}
        return heads, _ExportPage(self.from_time, self.to_time, None)(unit)


@dataclass(frozen=True, slots=True)
class _ExportPage:
    from_time: datetime | None
    to_time: datetime | None
    after: str | None

    def __call__(self, unit: ReadUnit) -> tuple[list[str], str | None]:
        lines, after = unit.audit_trail.export(self.from_time, self.to_time, after=self.after, limit=_EXPORT_LINES)
        return list(lines), after


class Checkpoints:
    """Signs the heads of all streams, once a minute, if anything was added since."""

    every: Final = timedelta(minutes=1)

    def __init__(self, storage: Storage, clock: Clock, signer: CheckpointSigner) -> None:
        self._storage = storage
        self._clock = clock
        self._signer = signer
        self._last: dict[str, tuple[int, str]] = {}

    def run(self) -> None:
        """Add a checkpoint unless the last one says the same."""
        heads = self._storage.read(lambda unit: unit.audit_trail.heads())
        if heads == self._last:
            return
        at = self._clock.now()
        body = checkpoint_body(at, heads, self._signer.key_id)
        signature = self._signer.sign(body.encode())

        def add(unit: Unit) -> None:
            unit.audit_trail.add_checkpoint(at, body, signature, self._signer.public_key_b64)

        self._storage.write(add)
        self._last = heads


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    """How far a check has come; kept in the job's data between steps.

    Attributes:
        stream: the stream that is walked, or the last one that was.
        sequence: number of its last record that fits.
        hash: hash of that record.
        position: last checkpoint that fits.
        covered: last record that a checkpoint names, by stream.
    """

    stream: str = ""
    sequence: int = 0
    hash: str = GENESIS
    streams: int = 0
    records: int = 0
    checkpoints: int = 0
    position: int = 0
    covered: Mapping[str, int]

    def data(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class AuditVerification:
    """Checks the whole stored trail, a bounded piece of it in each step.

    First every stream from its first record on, then every checkpoint: its signature, its signer,
    and that the records it names are there with those hashes.
    """

    kind: Final = VERIFY_KIND

    def __init__(
        self,
        storage: Storage,
        trusted_keys: Collection[str],
        *,
        records_per_step: int = _RECORDS_PER_STEP,
        checkpoints_per_step: int = _CHECKPOINTS_PER_STEP,
    ) -> None:
        self._storage = storage
        self._trusted = frozenset(trusted_keys)
        self._records_per_step = records_per_step
        self._checkpoints_per_step = checkpoints_per_step

    def run(self, job: Job) -> Step:
        """Check the next piece; a break ends the job with its place."""
        progress = _Progress(**job.data) if job.data else _Progress(covered={})
        try:
            if job.step == "checkpoints":
                return self._check_checkpoints(progress)
            return self._check_records(progress)
        except BrokenChain as broken:
            return Done(_result(progress, uncovered=0, first_broken=str(broken)))

    def _check_records(self, progress: _Progress) -> Step:
        def fetch(unit: ReadUnit) -> tuple[list[AuditRecord], str | None]:
            batch: list[AuditRecord] = []
            if progress.stream:
                batch.extend(unit.audit_trail.records_after(progress.stream, progress.sequence, self._records_per_step))
            following = None
            if len(batch) < self._records_per_step:
                later = (name for name in unit.audit_trail.heads() if name > progress.stream)
                following = min(later, default=None)
            return batch, following

        batch, following = self._storage.read(fetch)
        place = Place(progress.sequence, progress.hash)
        for record in batch:
            place = follow(place, record)
            try:
                check_body(record)
            except Integrity as problem:
                raise BrokenChain.at(record.stream, record.sequence, problem.detail) from None
        progress = replace(progress, sequence=place.sequence, hash=place.hash, records=progress.records + len(batch))
        if following is not None:
            progress = replace(progress, stream=following, sequence=0, hash=GENESIS, streams=progress.streams + 1)
        elif len(batch) < self._records_per_step:
            return Continue("checkpoints", progress.data())
        return Continue("records", progress.data())

    def _check_checkpoints(self, progress: _Progress) -> Step:
        found = self._storage.read(
            lambda unit: unit.audit_trail.checkpoints(progress.position, self._checkpoints_per_step)
        )
        if not found:
            heads = self._storage.read(lambda unit: unit.audit_trail.heads())
            uncovered = sum(max(0, sequence - progress.covered.get(name, 0)) for name, (sequence, _) in heads.items())
            return Done(_result(progress, uncovered=uncovered, first_broken=None))
        places: dict[tuple[str, int], str] = {}
        for number, (_, body, signature, public_key) in enumerate(found, progress.checkpoints + 1):
            for stream, place in self._heads_of(number, body, signature, public_key).items():
                if places.setdefault((stream, place.sequence), place.hash) != place.hash:
                    raise BrokenChain.at(stream, place.sequence, "two checkpoints have different hashes for it")
        self._storage.read(lambda unit: _check_places(unit, places))
        covered = dict(progress.covered)
        for stream, sequence in places:
            covered[stream] = max(covered.get(stream, 0), sequence)
        checkpoints = progress.checkpoints + len(found)
        return Continue(
            "checkpoints",
            replace(progress, position=found[-1][0], checkpoints=checkpoints, covered=covered).data(),
        )

    def _heads_of(self, number: int, body: str, signature: str, public_key: str) -> dict[str, Place]:
        if public_key not in self._trusted:
            raise BrokenChain(f"checkpoint {number}: It was signed with a key that is not this server's.")
        try:
            return read_checkpoint(body, signature, public_key)
        except Integrity as problem:
            raise BrokenChain(f"checkpoint {number}: {problem.detail}") from None


def _check_places(unit: ReadUnit, places: Mapping[tuple[str, int], str]) -> None:
    for (stream, sequence), digest in places.items():
        found = unit.audit_trail.records_after(stream, sequence - 1, 1)
        if not found or found[0].sequence != sequence:
            raise BrokenChain.at(stream, sequence, "it is missing, a checkpoint knows of it")
        if found[0].hash != digest:
            raise BrokenChain.at(stream, sequence, "a checkpoint has another hash for it")


def _result(progress: _Progress, *, uncovered: int, first_broken: str | None) -> dict[str, Any]:
    return VerificationResult(
        verified=first_broken is None,
        streams=progress.streams,
        records=progress.records,
        first_broken=first_broken,
        checkpoints=progress.checkpoints,
        uncovered=uncovered,
    ).document()
