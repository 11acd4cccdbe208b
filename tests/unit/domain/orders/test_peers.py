"""Peers that are slow or silent: few wait for them, and everybody else learns of it at once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from strongroom.domain.orders.peers import PATIENCE, PeerIsSlow, PeerWatch
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Unavailable

PEER, OTHER = "the CA one", "the CA two"
LONG = PATIENCE.total_seconds() + 1
SILENT = Unavailable(ErrorCode.UNAVAILABLE, "ca.example.com did not answer completely within 30 seconds.")


class Time:
    """Seconds that a test counts."""

    def __init__(self) -> None:
        self.now = 0.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def watch(time: Time) -> PeerWatch:
    return PeerWatch(lambda: time.now)


def fail(watch: PeerWatch, time: Time, error: BaseException = SILENT, *, after: float = LONG) -> None:
    def ask() -> None:
        with watch.asking(PEER):
            time.now += after
            raise error

    with pytest.raises(type(error)):
        ask()


def test_quick_peers_are_asked_by_as_many_as_want_to(watch: PeerWatch) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(watch.asking(PEER))


def test_nobody_joins_those_who_wait_for_long_already(watch: PeerWatch, time: Time) -> None:
    with watch.asking(PEER):
        time.now += LONG
        with pytest.raises(PeerIsSlow), watch.asking(PEER):
            pytest.fail("it was asked")
        with watch.asking(OTHER):
            pass
    with watch.asking(PEER):
        pass


def test_after_a_silence_one_at_a_time_tries_and_the_others_fail_as_the_last_one_did(
    watch: PeerWatch, time: Time
) -> None:
    fail(watch, time)
    with watch.asking(PEER):
        for _ in range(3):
            with pytest.raises(Unavailable, match="did not answer completely"), watch.asking(PEER):
                pytest.fail("it was asked")
    with watch.asking(PEER), watch.asking(PEER):
        pass


def test_others_go_on_failing_at_once_while_the_silence_lasts(watch: PeerWatch, time: Time) -> None:
    for _ in range(3):
        fail(watch, time)
        with watch.asking(OTHER):
            pass
    with watch.asking(PEER), pytest.raises(Unavailable) as told, watch.asking(PEER):
        pytest.fail("it was asked")
    assert not isinstance(told.value, PeerIsSlow)


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (SILENT, 0.5),
        (Invalid(ErrorCode.INVALID_FIELD, "It said no, late."), LONG),
        (KeyError("a fault of ours"), LONG),
    ],
)
def test_what_is_no_silence_keeps_nobody_away(
    watch: PeerWatch, time: Time, error: StrongroomError, after: float
) -> None:
    fail(watch, time, error, after=after)
    with watch.asking(PEER), watch.asking(PEER):
        pass


def test_peers_that_answer_are_forgotten(watch: PeerWatch, time: Time) -> None:
    with watch.asking(PEER), watch.asking(OTHER):
        time.now += LONG
    fail(watch, time, SILENT, after=1)
    assert watch._peers == {}
