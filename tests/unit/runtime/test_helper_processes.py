"""Helper processes: real ones, on functions of the standard library."""

from __future__ import annotations

import functools
import io
import math
import operator
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.kernel.errors import ErrorCode, Internal, Invalid, Unavailable
from strongroom.kernel.secret import Secret
from strongroom.kernel.time import parse_rfc3339
from strongroom.runtime import helper_processes
from strongroom.runtime.helper import LARGEST, LENGTH, answer, read_frame, write_frame
from strongroom.runtime.helper_processes import HelperProcesses


@pytest.fixture
def helpers() -> Iterator[HelperProcesses]:
    pool = HelperProcesses(size=1, timeout=timedelta(seconds=20))
    yield pool
    pool.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_function_runs_in_another_process_that_stays_for_the_next_call(helpers: HelperProcesses) -> None:
    first, second = helpers.run(os.getpid), helpers.run(os.getpid)
    assert first == second != os.getpid()
    assert helpers.run(operator.add, 2, 3) == 5
    assert helpers.running == 1


def test_no_process_runs_before_there_is_work() -> None:
    assert HelperProcesses().running == 0


def test_big_arguments_and_answers_cross(helpers: HelperProcesses) -> None:
    big = os.urandom(3_000_000)
    assert helpers.run(operator.add, big, b"!") == big + b"!"


def test_own_errors_cross_with_all_their_fields(helpers: HelperProcesses) -> None:
    with pytest.raises(Invalid) as raised:
        helpers.run(functools.partial(parse_rfc3339, field="expires_at"), "tomorrow")
    assert (raised.value.code, raised.value.field) == (ErrorCode.INVALID_FIELD, "expires_at")


def test_text_of_other_errors_stays_in_the_helper(helpers: HelperProcesses) -> None:
    with pytest.raises(Internal, match="met ValueError") as raised:
        helpers.run(int, "planted-secret")
    assert "planted" not in raised.value.detail
    assert helpers.run(os.getpid)


def test_answer_that_cannot_be_pickled_is_a_bug(helpers: HelperProcesses) -> None:
    with pytest.raises(Internal):
        helpers.run(threading.Lock)


def test_secret_does_not_cross_by_accident(helpers: HelperProcesses) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        helpers.run(str, Secret("planted"))


def test_call_that_is_too_big_is_a_bug(helpers: HelperProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_processes, "LARGEST", 100)
    with pytest.raises(Internal, match="too big"):
        helpers.run(len, b"x" * 200)


def test_stray_prints_do_not_garble_answers(helpers: HelperProcesses) -> None:
    helpers.run(print, "hello")
    assert helpers.run(operator.add, 1, 1) == 2


def test_crash_is_tried_once_more_on_a_new_process(helpers: HelperProcesses) -> None:
    pid = helpers.run(os.getpid)
    os.kill(pid, signal.SIGKILL)
    assert helpers.run(os.getpid) != pid


def test_second_crash_is_given_up(helpers: HelperProcesses) -> None:
    with pytest.raises(Unavailable, match="crashed twice"):
        helpers.run(os._exit, 3)
    assert helpers.run(operator.add, 1, 1) == 2


def test_call_that_takes_too_long_is_ended() -> None:
    pool = HelperProcesses(size=1, timeout=timedelta(seconds=0.5))
    with pytest.raises(Unavailable, match="within 0.5 seconds") as raised:
        pool.run(time.sleep, 60)
    assert raised.value.retry_after is not None
    assert pool.running == 0
    pool.close()


def test_callers_wait_for_a_free_process(helpers: HelperProcesses) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(helpers.run(math.factorial, 5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [120] * 4
    assert helpers.running == 1


def test_two_processes_work_side_by_side() -> None:
    pool = HelperProcesses(size=2)
    pids: set[int] = set()

    def work() -> None:
        pids.add(pool.run(os.getpid))
        pool.run(time.sleep, 0.3)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.running == 2
    pool.close()
    assert pool.running == 0


def occupied(pool: HelperProcesses) -> threading.Thread:
    pool.run(os.getpid)
    thread = threading.Thread(target=_ignoring(pool.run), args=(time.sleep, 60))
    thread.start()
    until(lambda: bool(pool._busy))
    return thread


def _ignoring(fn: Callable[..., Any]) -> Callable[..., None]:
    def call(*args: Any) -> None:
        with suppress(Unavailable):
            fn(*args)

    return call


def test_queue_is_bounded() -> None:
    pool = HelperProcesses(size=1, queue=1)
    busy = occupied(pool)
    waiting = threading.Thread(target=_ignoring(pool.run), args=(os.getpid,))
    waiting.start()
    until(lambda: pool._waiting == 1)
    with pytest.raises(Unavailable, match="Too many"):
        pool.run(os.getpid)
    pool.close()
    busy.join()
    waiting.join()


def test_wait_for_a_free_process_is_bounded() -> None:
    pool = HelperProcesses(size=1)
    busy = occupied(pool)
    pool._timeout = 0.05
    with pytest.raises(Unavailable, match="became free"):
        pool.run(os.getpid)
    pool.close()
    busy.join()


def test_closed_pool_refuses(helpers: HelperProcesses) -> None:
    helpers.close()
    with pytest.raises(Unavailable, match="stopping"):
        helpers.run(os.getpid)


def test_process_that_cannot_be_started_is_reported(helpers: HelperProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(Unavailable, match="could not be started"):
        helpers.run(os.getpid)


def test_idle_process_ends() -> None:
    pool = HelperProcesses(size=1, idle=timedelta(milliseconds=50))
    pid = pool.run(os.getpid)
    until(lambda: pool.running == 0)
    until(lambda: not _alive(pid))
    until(lambda: pool._sweeper is None)
    assert pool.run(os.getpid) != pid
    pool.close()


def _alive(pid: int) -> bool:
    # An orphan that has ended stays as a zombie where nobody reaps it, as in many containers.
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_background_helpers_are_nice() -> None:
    pool = HelperProcesses(size=1, niceness=7)
    assert pool.run(os.nice, 0) == os.nice(0) + 7
    pool.close()


def test_helper_ends_with_its_parent() -> None:
    program = (
        "import os\nfrom strongroom.runtime.helper_processes import HelperProcesses\n"
        "pid = HelperProcesses().run(os.getpid)\nprint(pid, flush=True)\nos._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 9
    until(lambda: not _alive(int(done.stdout)))


def test_interrupt_of_the_terminal_does_not_reach_helpers(helpers: HelperProcesses) -> None:
    pid = helpers.run(os.getpid)
    os.kill(pid, signal.SIGINT)
    assert helpers.run(os.getpid) == pid


def test_helper_imports_only_what_the_function_needs(helpers: HelperProcesses) -> None:
    assert (
        helpers.run(eval, "sorted({'sqlalchemy', 'starlette', 'cryptography'} & set(__import__('sys').modules))") == []
    )


def answered(fn: Callable[..., Any], *args: Any) -> Any:
    return pickle.loads(answer(pickle.dumps((fn, args))))  # noqa: S301


def test_answer_in_the_helper_covers_results_and_errors() -> None:
    assert answered(operator.add, 1, 2) == (True, 3)
    succeeded, error = answered(functools.partial(parse_rfc3339, field="at"), "x")
    assert (succeeded, type(error)) == (False, Invalid)
    succeeded, error = answered(operator.truediv, 1, 0)
    assert (succeeded, type(error)) == (False, Internal)


def test_unreadable_answers_are_bugs() -> None:
    for raw in (b"noise", pickle.dumps((False, "no error"))):
        with pytest.raises(Internal, match="cannot be read"):
            helper_processes._outcome(raw)


def test_frames_end_where_the_pipe_ends() -> None:
    pipe = io.BytesIO()
    write_frame(pipe, b"hello")
    whole = pipe.getvalue()
    assert read_frame(io.BytesIO(whole)) == b"hello"
    assert read_frame(io.BytesIO(whole[:3])) is None
    assert read_frame(io.BytesIO(whole[:-1])) is None
    assert read_frame(io.BytesIO(LENGTH.pack(LARGEST + 1))) is None
