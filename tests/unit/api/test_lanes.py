"""Threads for one kind of requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from strongroom.api.lanes import Lane
from strongroom.kernel.errors import Unavailable


@pytest.fixture
def lane() -> Iterator[Lane]:
    narrow = Lane("narrow", threads=1, waiting=1, full="Too many wait.")
    yield narrow
    narrow.close()


def test_work_is_done_in_threads_of_the_lane(lane: Lane) -> None:
    assert asyncio.run(lane.run(lambda: threading.current_thread().name)).startswith("narrow")


def test_a_request_without_room_is_refused_at_once_and_welcome_later(lane: Lane) -> None:
    over = threading.Event()

    async def fill() -> tuple[list[object], bool]:
        both = [asyncio.create_task(lane.run(lambda: over.wait(30))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="Too many wait") as refused:
            await lane.run(lambda: True)
        assert refused.value.retry_after is not None
        over.set()
        return list(await asyncio.gather(*both)), await lane.run(lambda: True)

    assert asyncio.run(fill()) == ([True, True], True)


def test_room_is_given_back_by_work_that_fails(lane: Lane) -> None:
    def fail() -> None:
        raise ValueError("no")

    async def fail_often() -> int:
        failures = 0
        for _ in range(5):
            with pytest.raises(ValueError, match="no"):
                await lane.run(fail)
            failures += 1
        return failures

    assert asyncio.run(fail_often()) == 5
