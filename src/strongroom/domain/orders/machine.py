"""The state machine of orders: one exchange with the world, stored, then the next.

Whatever stops the process between two steps, the step that was not stored is done again, and finds what it left
behind: an order at the CA by its names, a record by its value, a challenge by its status. Source: contract domain
section 4.2; design, sections 6 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Failed, Waiting
from strongroom.domain.jobs.steps import Step as Outcome
from strongroom.domain.orders.acme import AcmeProblem, AcmeStatus
from strongroom.domain.orders.context import ORDER, OrderContext
from strongroom.domain.orders.dns import PropagationTiming, TxtRecord
from strongroom.domain.orders.faults import Fault, FaultCode, Side, fault_of, validation_fault
from strongroom.domain.orders.finishing import POLL, Finishing, polling
from strongroom.domain.orders.looking import Looks, look, missing, target_of, unseen_in_time, wrong_value
from strongroom.domain.orders.model import (
    Order,
    OrderRecord,
    OrderState,
    OrderStep,
    RecordState,
)
from strongroom.domain.orders.peers import AGAIN, PeerIsSlow, PeerWatch, ca_peer, dns_peer
from strongroom.domain.orders.placing import (
    challenge_of,
    is_about_replacing,
    pending,
    place,
    read_challenges,
    too_early,
)
from strongroom.domain.orders.settling import Settling
from strongroom.domain.orders.stumbling import Stumbling
from strongroom.domain.orders.turn import Turn, load_turn
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.events import EventType
from strongroom.kernel.errors import ErrorCode, Integrity, Internal, StrongroomError

_SIDES: Final = {OrderStep.PLAN_RECORDS: Side.DNS, OrderStep.WRITE_RECORDS: Side.DNS, OrderStep.PROPAGATE: Side.DNS}
_UNWATCHED: Final = frozenset({OrderStep.PLAN_RECORDS, OrderStep.AWAIT_PERSON, OrderStep.PROPAGATE, OrderStep.MAKE_KEY})
"""Steps that ask neither CA nor provider; looks at name servers have short limits of their own."""

_RECORDS_AT_ONCE: Final = 10
_CHALLENGES_AT_ONCE: Final = 25
_MANUAL: Final = PropagationTiming(limit=timedelta(minutes=30), poll=timedelta(seconds=40))
"""Source: contract domain section 4.5."""
_NOTICE: Final = timedelta(days=1)
"""Before manual challenges lapse, people are told."""
_WRONG_VALUES: Final = 3
"""So many looks at a record with other values than ours, then it is wrong and not just late."""
_SOON: Final = timedelta(seconds=5)
_DEAD: Final = timedelta(minutes=1)
"""So long a server may be silent while all others have the record."""


class OrderSteps:
    """Works on orders."""

    kind: Final = ORDER

    def __init__(self, context: OrderContext, settling: Settling, watch: PeerWatch) -> None:
        self._context = context
        self._watch = watch
        self._stumbling = Stumbling(context, settling)
        finishing = Finishing(context, settling)
        self._steps: Mapping[str, Callable[[Turn], Outcome]] = {
            OrderStep.START: self._start,
            OrderStep.PLACE: self._place,
            OrderStep.READ_CHALLENGES: self._read_challenges,
            OrderStep.PLAN_RECORDS: self._plan_records,
            OrderStep.WRITE_RECORDS: self._write_records,
            OrderStep.AWAIT_PERSON: self._await_person,
            OrderStep.PROPAGATE: self._propagate,
            OrderStep.ANSWER: self._answer,
            OrderStep.VALIDATE: self._validate,
            OrderStep.MAKE_KEY: finishing.make_key,
            OrderStep.FINALIZE: finishing.finalize,
            OrderStep.DOWNLOAD: finishing.download,
        }

    def run(self, job: Job) -> Outcome:
        """Do the order's next step."""
        turn = load_turn(self._context, job)
        if turn is None:
            return self._context.secrets.storage.read(lambda unit: _ended_before(unit.orders.find(job.id)))
        if _broke_off_until_the_end(turn):
            return self._stumbling.give_up(
                turn,
                Fault(
                    FaultCode.SERVER_ERROR,
                    f"The server itself could not go on; its log says why, under the job's id {job.id}.",
                    side=Side.ORDER,
                ),
            )
        try:
            outcome = self._do(turn)
            # A step that learned nothing stores at least that its time did not run.
            return turn.store(turn.order, outcome) if turn.idle and not isinstance(outcome, Commit) else outcome
        except (Integrity, Internal):
            raise
        except StrongroomError as error:
            side = _SIDES.get(OrderStep(job.step), Side.CA)
            peer = ca_peer(turn.order.ca) if side is Side.CA else dns_peer(turn.order.dns)
            return self._stumbling.stumble(turn, fault_of(error, side=side, peer=peer))

    def _do(self, turn: Turn) -> Outcome:
        step = OrderStep(turn.job.step)
        if step in _UNWATCHED:
            return self._steps[step](turn)
        peer = dns_peer(turn.order.dns) if step in _SIDES else ca_peer(turn.order.ca)
        try:
            with self._watch.asking(peer):
                return self._steps[step](turn)
        except PeerIsSlow:
            data = turn.job.data
            if data.get("fence") == turn.job.fence:
                # Whoever comes next follows somebody who has placed nothing.
                data = {**data, "fence": turn.job.fence + 1}
            return Waiting(f"{peer}, which takes long to answer", turn.now() + AGAIN, data)

    # At the CA: place.

    def _start(self, turn: Turn) -> Outcome:
        ca, order, now = turn.ca, turn.order, turn.now()
        turn.require_dns()
        if order.replaces is not None and not turn.session().directory().has_renewal_info:
            order = replace(order, replaces=None)
        verdict = self._context.secrets.storage.read(lambda unit: self._context.ledger.check(unit, ca, order, now))
        if verdict.wait_until is not None:
            raise too_early(verdict, now)

        def reserve(unit: Unit) -> Ended:
            again = self._context.ledger.reserve(unit, ca, order, now)
            if again.wait_until is not None:
                # Somebody was faster; what follows from that is decided by the look before the unit.
                return Continue(OrderStep.START)
            # Whoever runs the next step under another fence comes after somebody who may have placed the order.
            return Continue(OrderStep.PLACE, {"fence": turn.job.fence + 1})

        return turn.store(order, reserve)

    def _place(self, turn: Turn) -> Outcome:
        may_exist = turn.job.data.get("fence") != turn.job.fence
        ca, order, now = turn.ca, turn.order, turn.now()
        # Another order may have been told meanwhile that the CA has had enough of this account.
        verdict = self._context.secrets.storage.read(lambda unit: self._context.ledger.held(unit, ca, order, now))
        if verdict.wait_until is not None:
            raise too_early(verdict, now)
        try:
            placed = place(turn.session(), turn.ca, turn.order, may_exist=may_exist)
        except AcmeProblem as problem:
            if turn.order.replaces is None or not is_about_replacing(problem):
                raise
            return turn.store(replace(turn.order, replaces=None), Continue(OrderStep.START))
        order = replace(turn.order, url=placed.url, finalize_url=placed.finalize_url)
        return turn.store(order, Continue(OrderStep.READ_CHALLENGES))

    def _read_challenges(self, turn: Turn) -> Outcome:
        session = turn.session()
        placed = turn.placed(session)
        challenges = read_challenges(session, placed)
        order = replace(turn.order, challenges=challenges)
        if not pending(challenges):
            return turn.store(order, Continue(OrderStep.MAKE_KEY))
        return turn.store(order, Continue(OrderStep.PLAN_RECORDS))

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
        return turn.store(order, Continue(OrderStep.WRITE_RECORDS))

    def _write_records(self, turn: Turn) -> Outcome:
        provider = turn.dns.provider
        wanted = {(target_of(item), item.txt_value) for item in pending(turn.order.challenges)}
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
        return turn.store(order, Continue(OrderStep.WRITE_RECORDS if done < len(owed) else OrderStep.PROPAGATE))

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
        looks = Looks.of(turn.job.data, now, turn.idle)
        order, unseen = look(turn)
        if not unseen:
            return turn.store(order, Continue(OrderStep.ANSWER))
        looks = looks.after(unseen, now)
        if looks.only_dead_since is not None and now >= looks.only_dead_since + _DEAD:
            # Resolvers pass over a server that does not answer; so will the CA's.
            return turn.store(order, Continue(OrderStep.ANSWER))
        if turn.is_manual and looks.wrong >= _WRONG_VALUES:
            raise Fault(FaultCode.DNS_WRONG_VALUE, wrong_value(unseen[0]), side=Side.DNS)
        if now >= looks.since + timing.limit or now >= turn.deadline:
            raise Fault(FaultCode.DNS_NOT_PROPAGATED, unseen_in_time(unseen[0], now - looks.since), side=Side.DNS)
        poll = _SOON if turn.is_manual and looks.wrong else timing.poll
        return turn.store(order, Waiting(missing(unseen), now + poll, looks.data))

    # At the CA again: prove, finalize, fetch.

    def _answer(self, turn: Turn) -> Outcome:
        session = turn.session()
        owed = pending(turn.order.challenges)
        begin = int(turn.job.data.get("answered", 0))
        for challenge in owed[begin : begin + _CHALLENGES_AT_ONCE]:
            session.answer(challenge.challenge_url)
        answered = begin + _CHALLENGES_AT_ONCE
        if answered < len(owed):
            return Continue(OrderStep.ANSWER, {"answered": answered})
        return Continue(OrderStep.VALIDATE, in_=POLL)

    def _validate(self, turn: Turn) -> Outcome:
        session, now = turn.session(), turn.now()
        wait, challenges = POLL, []
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
                wait = max(wait, polling(authorization.retry_after))
            else:
                challenges.append(known)
                failed = challenge_of(authorization)
                fault = fault or validation_fault(
                    known.domain, authorization.problem_type or failed.status, authorization.problem, peer=turn.ca_name
                )
        if fault is not None:
            # The CA counts every name that it could not validate, and those that it is still at may be such.
            fault.names = tuple(item.domain for item in pending(challenges))
            raise fault
        order = replace(turn.order, challenges=tuple(challenges))
        if not pending(challenges):
            return turn.store(order, Continue(OrderStep.MAKE_KEY))
        turn.require_time(f"{turn.ca_name} has not finished validating {pending(challenges)[0].domain}")
        return turn.store(order, Waiting("the CA, which is validating the names", now + wait))


def _ended_before(order: Order | None) -> Ended:
    """Return how the job of an order ends that is not worked on: somebody tried it again, or its secret is gone."""
    if order is None or order.state is OrderState.OPEN or order.problem is None:
        return Done()
    problem = order.problem
    return Failed(problem["code"], problem["message"], problem["reference_code"])


def _broke_off_until_the_end(turn: Turn) -> bool:
    """Tell whether the step broke off again and again, for a reason that is no fault of an order, until time was up."""
    last = turn.job.last_error
    is_inner = last is not None and last.code in {ErrorCode.INTERNAL, ErrorCode.INTEGRITY_FAILED}
    return is_inner and turn.job.attempts > 0 and turn.now() >= turn.deadline
