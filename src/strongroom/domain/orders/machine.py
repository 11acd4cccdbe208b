"""The state machine of orders: one exchange with the world, stored, then the next.

Whatever stops the process between two steps, the step that was not stored is done again, and finds what it left
behind: an order at the CA by its names, a record by its value, a challenge by its status. Source: contract domain
section 4.2; design, sections 6 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from strongroom.domain.engine import Prepared
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Failed, Stumbled, Waiting
from strongroom.domain.jobs.steps import Step as Outcome
from strongroom.domain.orders.acme import AcmeOrder, AcmeProblem, AcmeStatus
from strongroom.domain.orders.context import ATTEMPT, KEY_ALGORITHMS, ORDER, OrderContext, issuance_info
from strongroom.domain.orders.dns import PropagationTiming, TxtRecord
from strongroom.domain.orders.faults import Fault, FaultCode, Side, fault_of, problem_fault, reason_of, validation_fault
from strongroom.domain.orders.issued import attributes, choose_chain, has_bundle, read_issued, version_attributes
from strongroom.domain.orders.ledger import Verdict
from strongroom.domain.orders.model import Order, OrderChallenge, OrderRecord, OrderState, OrderTrigger, RecordState
from strongroom.domain.orders.placing import challenge_of, is_about_replacing, pending, place, read_challenges
from strongroom.domain.orders.policy import OFF, rotate_at
from strongroom.domain.orders.settling import Settling
from strongroom.domain.orders.turn import Turn, load_turn
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.adding import seal_version
from strongroom.domain.secrets.events import EventType
from strongroom.kernel.errors import Integrity, Internal, StrongroomError
from strongroom.pki.keys import IssuedKey, load_own_key_der, load_own_key_pem, private_key_der
from strongroom.pki.order_request import build_order_csr


class Step(StrEnum):
    """What an order does next."""

    START = "start"
    PLACE = "place"
    READ_CHALLENGES = "read_challenges"
    PLAN_RECORDS = "plan_records"
    WRITE_RECORDS = "write_records"
    AWAIT_PERSON = "await_person"
    PROPAGATE = "propagate"
    ANSWER = "answer"
    VALIDATE = "validate"
    MAKE_KEY = "make_key"
    FINALIZE = "finalize"
    DOWNLOAD = "download"


_SIDES: Final = {Step.PLAN_RECORDS: Side.DNS, Step.WRITE_RECORDS: Side.DNS, Step.PROPAGATE: Side.DNS}

_RECORDS_AT_ONCE: Final = 10
_CHALLENGES_AT_ONCE: Final = 25
_POLL: Final = timedelta(seconds=3)
_LONGEST_POLL: Final = timedelta(minutes=5)
_MANUAL: Final = PropagationTiming(limit=timedelta(minutes=30), poll=timedelta(seconds=40))
"""Source: contract domain section 4.5."""
_NOTICE: Final = timedelta(days=1)
"""Before manual challenges lapse, people are told."""
_WRONG_VALUES: Final = 3
"""So many looks at a record with other values than ours, then it is wrong and not just late."""
_MOST_ATTEMPTS: Final = 2
"""Orders at one CA because a proof failed. Source: contract domain section 4.5."""
_BEFORE_ANOTHER: Final = timedelta(minutes=1)
_PATIENCE: Final = 3
"""Failures of one step at a CA, then the order turns to the fallback if there is one."""
_BACK_OFF: Final[Mapping[Side, Sequence[timedelta]]] = {
    Side.CA: tuple(timedelta(seconds=wait) for wait in (10, 30, 60, 120, 300)),
    Side.DNS: tuple(timedelta(seconds=wait) for wait in (5, 15, 30, 60, 120)),
    Side.ORDER: tuple(timedelta(seconds=wait) for wait in (30, 60, 120)),
}
_FAILED_VALIDATIONS: Final = frozenset({FaultCode.DNS_VALIDATION, FaultCode.CAA_FORBIDS})
_RATE_LIMITED: Final = timedelta(minutes=5)
"""When a CA says that there are too many orders and not when to come back."""


class OrderSteps:
    """Works on orders."""

    kind: Final = ORDER

    def __init__(self, context: OrderContext, settling: Settling) -> None:
        self._context = context
        self._settling = settling
        self._steps: Mapping[str, Callable[[Turn], Outcome]] = {
            Step.START: self._start,
            Step.PLACE: self._place,
            Step.READ_CHALLENGES: self._read_challenges,
            Step.PLAN_RECORDS: self._plan_records,
            Step.WRITE_RECORDS: self._write_records,
            Step.AWAIT_PERSON: self._await_person,
            Step.PROPAGATE: self._propagate,
            Step.ANSWER: self._answer,
            Step.VALIDATE: self._validate,
            Step.MAKE_KEY: self._make_key,
            Step.FINALIZE: self._finalize,
            Step.DOWNLOAD: self._download,
        }

    def run(self, job: Job) -> Outcome:
        """Do the order's next step."""
        turn = load_turn(self._context, job)
        if turn is None:
            return Done()
        try:
            return self._steps[job.step](turn)
        except (Integrity, Internal):
            raise
        except StrongroomError as error:
            side = _SIDES.get(Step(job.step), Side.CA)
            kind = "the CA" if side is Side.CA else "the DNS configuration"
            peer = f"{kind} {turn.order.ca if side is Side.CA else turn.order.dns}"
            return self._stumble(turn, fault_of(error, side=side, peer=peer))

    # At the CA: place.

    def _start(self, turn: Turn) -> Outcome:
        ca, order, now = turn.ca, turn.order, turn.now()
        if order.replaces is not None and not turn.session().directory().has_renewal_info:
            order = replace(order, replaces=None)
        verdict = self._context.secrets.storage.read(lambda unit: self._context.ledger.check(unit, ca, order, now))
        if verdict.wait_until is not None:
            raise self._too_early(verdict, now)

        def reserve(unit: Unit) -> Ended:
            again = self._context.ledger.reserve(unit, ca, order, now)
            if again.wait_until is not None:
                return Waiting(again.reason or "the limits of the CA", again.wait_until)
            # Whoever runs the next step under another fence comes after somebody who may have placed the order.
            return Continue(Step.PLACE, {"fence": turn.job.fence + 1})

        return turn.store(order, reserve)

    def _too_early(self, verdict: Verdict, now: datetime) -> Fault:
        assert verdict.wait_until is not None  # noqa: S101  (it would be allowed otherwise)
        return Fault(
            FaultCode.CA_RATE_LIMITED,
            verdict.reason or "The limits of the CA are used up.",
            side=Side.CA,
            is_final=False,
            retry_after=verdict.wait_until - now,
        )

    def _place(self, turn: Turn) -> Outcome:
        may_exist = turn.job.data.get("fence") != turn.job.fence
        try:
            placed = place(turn.session(), turn.ca, turn.order, may_exist=may_exist)
        except AcmeProblem as problem:
            if turn.order.replaces is None or not is_about_replacing(problem):
                raise
            return turn.store(replace(turn.order, replaces=None), Continue(Step.START))
        order = replace(turn.order, url=placed.url, finalize_url=placed.finalize_url)
        return turn.store(order, Continue(Step.READ_CHALLENGES))

    def _read_challenges(self, turn: Turn) -> Outcome:
        session = turn.session()
        placed = session.order(_url(turn.order))
        _refuse_invalid(turn, placed)
        challenges = read_challenges(session, placed)
        order = replace(turn.order, challenges=challenges)
        if not pending(challenges):
            return turn.store(order, Continue(Step.MAKE_KEY))
        return turn.store(order, Continue(Step.PLAN_RECORDS))

    # In the DNS: plan, write, see.

    def _plan_records(self, turn: Turn) -> Outcome:
        configuration_id = turn.dns.configuration.id
        targets = {
            challenge.txt_name: self._context.propagation.target(challenge.txt_name)
            for challenge in pending(turn.order.challenges)
        }
        challenges = tuple(
            replace(challenge, target=targets.get(challenge.txt_name)) for challenge in turn.order.challenges
        )
        planned = [
            OrderRecord(
                record=TxtRecord(name=targets[challenge.txt_name], value=challenge.txt_value),
                state=RecordState.PLANNED,
                handle=None,
                configuration_id=configuration_id,
            )
            for challenge in pending(challenges)
        ]
        known = {(item.record, item.configuration_id) for item in turn.order.records}
        added = [item for item in planned if (item.record, configuration_id) not in known]
        order = replace(turn.order, challenges=challenges, records=(*turn.order.records, *added))
        return turn.store(order, Continue(Step.WRITE_RECORDS))

    def _write_records(self, turn: Turn) -> Outcome:
        provider = turn.dns.provider
        wanted = {(_target(item), item.txt_value) for item in pending(turn.order.challenges)}
        records = list(turn.order.records)
        owed = [
            index
            for index, item in enumerate(records)
            if item.state is RecordState.PLANNED and (item.record.name, item.record.value) in wanted
        ]
        done = 0
        for index in owed[:_RECORDS_AT_ONCE]:
            try:
                handle = provider.present(records[index].record)
            except StrongroomError:
                if not done:
                    raise
                # What was written is noted first; the next turn meets the trouble again.
                break
            records[index] = replace(records[index], state=RecordState.WRITTEN, handle=handle)
            done += 1
        order = replace(turn.order, records=tuple(records))
        return turn.store(order, Continue(Step.WRITE_RECORDS if done < len(owed) else Step.PROPAGATE))

    def _await_person(self, turn: Turn) -> Outcome:
        now, deadline = turn.now(), turn.deadline
        if now >= deadline:
            raise Fault(
                FaultCode.CHALLENGE_EXPIRED,
                "The challenges have lapsed before anybody said that the TXT records are there; order anew.",
                side=Side.ORDER,
            )
        waits_for = "the TXT records, and somebody who says that they are there"
        if "told" in turn.job.data or deadline - turn.order.created_at <= _NOTICE:
            return Waiting(waits_for, deadline)
        if now < deadline - _NOTICE:
            return Waiting(waits_for, deadline - _NOTICE)
        outbox, secret, by = self._context.secrets.outbox, turn.secret, turn.order.by
        return turn.store(
            turn.order,
            Waiting(waits_for, deadline, {"told": True}),
            also=lambda unit: outbox.emit(unit, EventType.CHALLENGE_EXPIRING, secret, by=by, at=now),
        )

    def _propagate(self, turn: Turn) -> Outcome:
        now = turn.now()
        timing = _MANUAL if turn.is_manual else turn.dns.provider.timing
        since = _since(turn, now)
        order, unseen = self._looked(turn)
        if not unseen:
            return turn.store(order, Continue(Step.ANSWER))
        wrong = int(turn.job.data.get("wrong", 0)) + 1 if all(_has_others(item) for item in unseen) else 0
        if turn.is_manual and wrong >= _WRONG_VALUES:
            raise Fault(FaultCode.DNS_WRONG_VALUE, _wrong(unseen[0]), side=Side.DNS)
        if now >= since + timing.limit or now >= turn.deadline:
            raise Fault(FaultCode.DNS_NOT_PROPAGATED, _unseen(unseen[0], now - since), side=Side.DNS)
        data = {"since": int(since.timestamp()), "wrong": wrong}
        poll = timedelta(seconds=5) if turn.is_manual and wrong else timing.poll
        return turn.store(order, Waiting(_missing(unseen), now + poll, data))

    def _looked(self, turn: Turn) -> tuple[Order, list[OrderChallenge]]:
        """Look at the authoritative servers; return what they said, and the challenges that are not on all of them."""
        servers = {} if turn.is_manual else turn.dns.provider.servers
        owed = pending(turn.order.challenges)
        targets = {item.txt_name: item.target or self._context.propagation.target(item.txt_name) for item in owed}
        values: dict[str, list[str]] = {}
        for challenge in owed:
            values.setdefault(targets[challenge.txt_name], []).append(challenge.txt_value)
        seen = {name: tuple(self._context.propagation.look(name, wanted, servers)) for name, wanted in values.items()}
        challenges = tuple(
            replace(item, target=targets[item.txt_name], servers=seen[targets[item.txt_name]])
            if item.status is AcmeStatus.PENDING
            else item
            for item in turn.order.challenges
        )
        unseen = [
            item
            for item in challenges
            if item.status is AcmeStatus.PENDING and not (item.servers and all(server.seen for server in item.servers))
        ]
        return replace(turn.order, challenges=challenges), unseen

    # At the CA again: prove, finalize, fetch.

    def _answer(self, turn: Turn) -> Outcome:
        session = turn.session()
        owed = pending(turn.order.challenges)
        begin = int(turn.job.data.get("answered", 0))
        for challenge in owed[begin : begin + _CHALLENGES_AT_ONCE]:
            session.answer(challenge.challenge_url)
        answered = begin + _CHALLENGES_AT_ONCE
        if answered < len(owed):
            return Continue(Step.ANSWER, {"answered": answered})
        return Continue(Step.VALIDATE, in_=_POLL)

    def _validate(self, turn: Turn) -> Outcome:
        session, now = turn.session(), turn.now()
        wait, challenges = _POLL, []
        fault: Fault | None = None
        for known in turn.order.challenges:
            if known.status is not AcmeStatus.PENDING:
                challenges.append(known)
                continue
            authorization = session.authorization(known.authorization_url)
            if authorization.status is AcmeStatus.VALID:
                challenges.append(replace(known, status=AcmeStatus.VALID))
            elif authorization.status is AcmeStatus.PENDING:
                challenges.append(known)
                wait = max(wait, min(authorization.retry_after or _POLL, _LONGEST_POLL))
            else:
                challenges.append(known)
                failed = challenge_of(authorization)
                fault = fault or validation_fault(
                    known.domain, authorization.problem_type or failed.status, authorization.problem, peer=_ca(turn)
                )
        if fault is not None:
            # The CA counts every name that it could not validate, and those that it is still at may be such.
            fault.names = tuple(item.domain for item in pending(challenges))
            raise fault
        order = replace(turn.order, challenges=tuple(challenges))
        if not pending(challenges):
            return turn.store(order, Continue(Step.MAKE_KEY))
        self._require_time(turn, now, f"{_ca(turn)} has not finished validating {pending(challenges)[0].domain}")
        return turn.store(order, Waiting("the CA, which is validating the names", now + wait))

    def _make_key(self, turn: Turn) -> Outcome:
        if turn.order.sealed_key is not None:
            return Continue(Step.FINALIZE)
        key = None if turn.order.rotate_keys else self._present_key(turn)
        if key is None:
            key = self._context.secrets.work.keys.take(KEY_ALGORITHMS[turn.order.key_algorithm])
        sealed = self._context.secrets.vault.seal_order_key(turn.order.id, private_key_der(key))
        return turn.store(replace(turn.order, sealed_key=sealed), Continue(Step.FINALIZE))

    def _finalize(self, turn: Turn) -> Outcome:
        session, now = turn.session(), turn.now()
        placed = session.order(_url(turn.order))
        _refuse_invalid(turn, placed)
        if placed.status is AcmeStatus.PENDING:
            # Some CAs take a moment from the last proof to the order.
            self._require_time(turn, now, f"{_ca(turn)} does not go on with the order")
            return Waiting("the CA, which takes note of the proofs", now + _POLL)
        if placed.status is AcmeStatus.READY:
            subject = turn.secret.attributes.get("common_name")
            asked = str(subject) if subject in turn.order.names else None
            csr = build_order_csr(turn.order.names, asked or _first_short(turn.order.names), self._key(turn))
            session.finalize(placed, csr)
        return Continue(Step.DOWNLOAD)

    def _download(self, turn: Turn) -> Outcome:
        session, now = turn.session(), turn.now()
        placed = session.order(_url(turn.order))
        _refuse_invalid(turn, placed)
        if placed.certificate_url is None:
            if placed.status is AcmeStatus.READY:
                return Continue(Step.FINALIZE, in_=_POLL)
            self._require_time(turn, now, f"{_ca(turn)} has not issued the certificate")
            wait = max(_POLL, min(placed.retry_after or _POLL, _LONGEST_POLL))
            return Waiting("the CA, which is issuing the certificate", now + wait)
        chain, notices = choose_chain(session.certificate(placed.certificate_url), turn.ca.preferred_chain)
        secret, key = turn.secret, self._key(turn)
        issued = read_issued(chain, turn.order.names, key, is_bundled=has_bundle(secret.attributes))
        facts, order = issued.facts, turn.order
        shown = issuance_info(replace(order, state=OrderState.ISSUED))
        rotation = secret.rotation or OFF
        prepared = Prepared(
            payload=issued.payload,
            attributes=attributes(secret.attributes, facts, shown),
            version_attributes=version_attributes(facts),
            expires_at=facts.not_after,
            rotation=rotation,
            rotate_before=rotate_at(rotation, order.dns, facts),
            warnings=notices,
        )
        made = seal_version(
            self._context.secrets,
            secret,
            prepared,
            by=order.by,
            automatic=order.trigger is OrderTrigger.AUTO,
            version_custom_metadata=order.version_custom_metadata,
        )

        def commit(unit: Unit) -> Ended:
            held = unit.secrets.find_for_update(secret.id)
            if held is None or held.row_version != secret.row_version:
                # Changed meanwhile: the certificate is fetched again and stored with what holds now.
                return Continue(Step.DOWNLOAD)
            self._context.ledger.note_issued(unit, turn.ca, order, now)
            view = self._settling.issued(unit, order, made)
            return Done(None if view is None else {"version_id": view.version.id})

        return Commit(commit)

    # Keys.

    def _key(self, turn: Turn) -> IssuedKey:
        assert turn.order.sealed_key is not None  # noqa: S101  (a step before made it)
        return load_own_key_der(self._context.secrets.vault.open_order_key(turn.order.id, turn.order.sealed_key))

    def _present_key(self, turn: Turn) -> IssuedKey | None:
        current = turn.current
        if current is None or current.sealed is None:
            return None
        payload = self._context.secrets.vault.open_payload(current.version.id, current.sealed)
        return load_own_key_pem(payload["private_key"])

    # What goes wrong.

    def _require_time(self, turn: Turn, now: datetime, what: str) -> None:
        if now >= turn.deadline:
            raise Fault(FaultCode.CA_UNREACHABLE, f"{what} in time.", side=Side.CA)

    def _stumble(self, turn: Turn, fault: Fault) -> Outcome:
        """Decide what follows from a fault: another try, another order, another CA, or the end."""
        now = turn.now()
        if fault.fault is FaultCode.DNS_VALIDATION and not turn.is_manual:
            if turn.order.attempts < _MOST_ATTEMPTS and now + _BEFORE_ANOTHER < turn.deadline:
                order = replace(_anew(turn.order), attempts=turn.order.attempts + 1)
                return self._left(turn, order, fault, Continue(Step.START, in_=_BEFORE_ANOTHER))
            return self._give_up(turn, fault)
        if fault.is_final or fault.side is Side.ORDER:
            return self._elsewhere(turn, fault) or self._give_up(turn, fault)
        until = now + _wait(fault, turn.job.attempts)
        is_late = until >= turn.deadline
        if is_late or (fault.side is Side.CA and turn.job.attempts + 1 >= _PATIENCE):
            elsewhere = self._elsewhere(turn, fault)
            if elsewhere is not None:
                return elsewhere
        if is_late and fault.fault is FaultCode.CA_RATE_LIMITED and turn.can_wait(until):
            # There is a certificate, and time: the order stays in line.
            turn = replace(turn, order=replace(turn.order, deadline_at=until + ATTEMPT))
        elif is_late:
            return self._give_up(turn, fault)
        return turn.store(turn.order, Stumbled(fault, until), also=lambda unit: self._note(unit, turn, fault))

    def _elsewhere(self, turn: Turn, fault: Fault) -> Outcome | None:
        """Turn to the fallback of the CA, if it has one that was not tried."""
        if fault.side is not Side.CA or turn.is_manual or turn.found_ca is None:
            return None
        name, given_up = turn.found_ca.fallback, (*turn.order.cas_given_up, turn.order.ca)
        if name is None or name in given_up:
            return None
        order = replace(_anew(turn.order), ca=name, cas_given_up=given_up, attempts=1, deadline_at=turn.now() + ATTEMPT)
        return self._left(turn, order, fault, Continue(Step.START))

    def _left(self, turn: Turn, order: Order, fault: Fault, ended: Ended) -> Outcome:
        """Store an order that is placed anew, and take note that the last one came to nothing."""

        def also(unit: Unit) -> None:
            self._note(unit, turn, fault)
            if turn.found_ca is not None:
                self._context.ledger.note_ended(unit, turn.found_ca, turn.order, turn.now())

        return turn.store(order, ended, also=also)

    def _note(self, unit: Unit, turn: Turn, fault: Fault) -> None:
        """Write into the ledger what a CA said about limits and proofs."""
        if turn.found_ca is None:
            return
        names, now = turn.order.names, turn.now()
        if turn.job.step == Step.VALIDATE and fault.fault in _FAILED_VALIDATIONS:
            self._context.ledger.note_failed_validation(unit, turn.found_ca, fault.names or names, now)
        elif fault.fault is FaultCode.CA_RATE_LIMITED and turn.job.step != Step.START:
            self._context.ledger.note_held(
                unit, turn.found_ca, names, now, retry_after=fault.retry_after, identifiers=fault.names
            )

    def _give_up(self, turn: Turn, fault: Fault) -> Outcome:
        order, reason = turn.order, reason_of(fault)

        def commit(unit: Unit) -> Ended:
            self._note(unit, turn, fault)
            self._settling.failed(unit, order, fault)
            return Failed(reason.code, reason.message, reason.reference_code)

        return Commit(commit)


def _anew(order: Order) -> Order:
    """Return an order as it is before it is placed; what may stand in the DNS stays on record."""
    return replace(order, url=None, finalize_url=None, account_url=None, challenges=(), replaces=None)


def _wait(fault: Fault, attempts: int) -> timedelta:
    waits = _BACK_OFF[fault.side]
    wait = waits[min(attempts, len(waits) - 1)]
    if fault.fault is FaultCode.CA_RATE_LIMITED:
        wait = max(wait, fault.retry_after or _RATE_LIMITED)
    return max(wait, fault.retry_after or timedelta())


def _url(order: Order) -> str:
    assert order.url is not None  # noqa: S101  (placed by a step before)
    return order.url


def _ca(turn: Turn) -> str:
    return f"the CA {turn.order.ca}"


def _target(challenge: OrderChallenge) -> str:
    return challenge.target or challenge.txt_name


def _first_short(names: Sequence[str]) -> str | None:
    return next((name for name in names if len(name) <= 64), None)


def _refuse_invalid(turn: Turn, placed: AcmeOrder) -> None:
    if placed.status is AcmeStatus.INVALID:
        said = placed.problem or "it gave no reason"
        raise problem_fault(placed.problem_type or "orderInvalid", said, peer=_ca(turn))


def _since(turn: Turn, now: datetime) -> datetime:
    since = turn.job.data.get("since")
    return now if since is None else datetime.fromtimestamp(since, tz=now.tzinfo)


def _has_others(challenge: OrderChallenge) -> bool:
    """Tell whether every server has a record at the name, and none has ours."""
    return bool(challenge.servers) and all(server.found and not server.seen for server in challenge.servers)


def _missing(unseen: Sequence[OrderChallenge]) -> str:
    first = unseen[0]
    have = sum(server.seen for server in first.servers)
    more = f", and {len(unseen) - 1} more" if len(unseen) > 1 else ""
    return f"the TXT record at {_target(first)}, seen on {have} of {len(first.servers)} servers{more}"


def _unseen(challenge: OrderChallenge, waited: timedelta) -> str:
    lacking = ", ".join(
        f"{server.name} ({server.address}{': ' + server.problem if server.problem else ''})"
        for server in challenge.servers
        if not server.seen
    )
    minutes = max(1, round(waited.total_seconds() / 60))
    return (
        f"The TXT record {_target(challenge)}. with the value {challenge.txt_value} was not seen within {minutes} "
        f"minutes on {lacking or 'any authoritative server'}."
    )


def _wrong(challenge: OrderChallenge) -> str:
    found = next((server.found for server in challenge.servers if server.found), ())
    listed = ", ".join(f'"{text}"' for text in found)
    return (
        f"The TXT record {_target(challenge)}. holds {listed} on the authoritative servers, not the value "
        f'"{challenge.txt_value}" that the CA asks for. Order anew and publish the value of the new challenge.'
    )
