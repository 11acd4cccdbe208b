"""RSA keys made ahead: handed out once, made by other processes, only when somebody wants them.

A stand-in for the processes makes small keys, which is quick; the tests about processes use real ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Unavailable
from strongroom.pki.keys import IssuedKey, KeySpec
from strongroom.runtime import key_pool
from strongroom.runtime.helper_processes import HelperProcesses
from strongroom.runtime.key_pool import KeyPool, KeyPoolFigures
from tests.api.authorities import create_intermediate, create_root, create_template
from tests.peers.in_process import InProcess

T = TypeVar("T")

RSA = KeySpec(kind="rsa", bits=2048)
RSA_3072 = KeySpec(kind="rsa", bits=3072)


class Processes:
    """Stands in for the processes: small keys at once, or when told, or an error."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.going = threading.Event()
        self.going.set()
        self.failures: list[StrongroomError] = []
        self.closed = False

    def run(self, fn: Callable[..., Any], spec: KeySpec) -> bytes:
        """Make a key of the least size, which takes 5 ms."""
        self.asked.append(spec.bits)
        assert self.going.wait(10)
        if self.failures:
            raise self.failures.pop()
        key = rsa.generate_private_key(65537, 1024)  # noqa: S505  (not used for anything)
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def close(self) -> None:
        """Let nobody wait any longer."""
        self.closed = True
        self.going.set()


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def pool(processes: Processes) -> Iterator[KeyPool]:
    made = pool_of(processes)
    yield made
    processes.going.set()
    made.close()


def pool_of(processes: Processes, **given: Any) -> KeyPool:
    return KeyPool(processes=cast("HelperProcesses", processes), **{"size": 4, "makers": 2, **given})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def figures(pool: KeyPool, bits: int = 2048) -> KeyPoolFigures:
    return next(found for found in pool.figures() if found.bits == bits)


def full(pool: KeyPool, depth: int = 4) -> bool:
    return [found.depth for found in pool.figures()] == [depth] and not pool._threads


def numbers(keys: list[IssuedKey]) -> set[int]:
    return {cast("rsa.RSAPrivateKey", key).private_numbers().p for key in keys}


def background(fn: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(fn())
        except StrongroomError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


# --- what is handed out


def test_nothing_is_made_before_a_key_is_asked_for(pool: KeyPool, processes: Processes) -> None:
    assert pool.figures() == []
    assert processes.asked == []
    assert not pool._threads


def test_keys_of_curves_are_made_at_once_and_fill_nothing(pool: KeyPool, processes: Processes) -> None:
    assert isinstance(pool.take(KeySpec(kind="ec", bits=256)), ec.EllipticCurvePrivateKey)
    assert isinstance(pool.take(KeySpec(kind="ed25519", bits=0)), ed25519.Ed25519PrivateKey)
    assert processes.asked == []


def test_the_first_key_is_waited_for_and_the_next_ones_are_ready(pool: KeyPool) -> None:
    first = pool.take(RSA)
    until(lambda: full(pool))
    assert figures(pool) == KeyPoolFigures(bits=2048, depth=4, taken=1, misses=1, made=5)
    second = pool.take(RSA)
    assert len(numbers([first, second])) == 2
    assert (figures(pool).taken, figures(pool).misses) == (2, 1)


def test_what_was_taken_is_made_again(pool: KeyPool) -> None:
    pool.warm(RSA)
    until(lambda: full(pool))
    for _ in range(3):
        pool.take(RSA)
    until(lambda: full(pool))
    assert figures(pool) == KeyPoolFigures(bits=2048, depth=4, taken=3, misses=0, made=7)


def test_many_callers_at_once_get_a_key_each(pool: KeyPool) -> None:
    calls = [background(lambda: [pool.take(RSA) for _ in range(5)]) for _ in range(6)]
    for thread, _ in calls:
        thread.join()
    keys = [key for _, found in calls for key in found[0]]
    assert len(numbers(keys)) == len(keys) == 30
    until(lambda: full(pool))
    assert figures(pool).taken == 30
    assert figures(pool).made == 34


def test_warming_begins_without_taking(pool: KeyPool) -> None:
    pool.warm(RSA)
    until(lambda: full(pool))
    assert (figures(pool).taken, figures(pool).misses) == (0, 0)


def test_sizes_that_are_not_kept_are_made_one_by_one(pool: KeyPool, processes: Processes) -> None:
    pool.warm(RSA_3072)
    pool.warm(KeySpec(kind="ec", bits=256))
    assert processes.asked == []
    pool.take(RSA_3072)
    pool.take(RSA_3072)
    until(lambda: not pool._threads)
    assert figures(pool, 3072) == KeyPoolFigures(bits=3072, depth=0, taken=2, misses=2, made=2)


def test_each_size_has_its_own_keys(processes: Processes) -> None:
    pool = pool_of(processes, bits=(2048, 3072), size=2)
    pool.warm(RSA)
    pool.warm(RSA_3072)
    until(lambda: [found.depth for found in pool.figures()] == [2, 2])
    assert sorted(processes.asked) == [2048, 2048, 3072, 3072]
    pool.close()


def test_who_waits_goes_before_what_is_kept(processes: Processes) -> None:
    processes.going.clear()
    pool = pool_of(processes, bits=(2048, 3072), makers=1, size=3)
    pool.warm(RSA)
    until(lambda: processes.asked == [2048])
    thread, found = background(lambda: pool.take(RSA_3072))
    until(lambda: bool(pool._shelves.get(3072)))
    processes.going.set()
    thread.join()
    assert processes.asked[:2] == [2048, 3072]
    assert len(found) == 1
    pool.close()


def test_a_pool_of_size_zero_makes_every_key_when_it_is_asked_for(processes: Processes) -> None:
    pool = pool_of(processes, size=0)
    pool.warm(RSA)
    pool.take(RSA)
    until(lambda: not pool._threads)
    assert figures(pool) == KeyPoolFigures(bits=2048, depth=0, taken=1, misses=1, made=1)
    pool.close()


def test_sizes_that_strongroom_does_not_make_are_refused(pool: KeyPool, processes: Processes) -> None:
    for bits in (512, 1024, 2049):
        with pytest.raises(Invalid) as caught:
            pool.take(KeySpec(kind="rsa", bits=bits))
        assert caught.value.code is ErrorCode.INVALID_FIELD
    assert processes.asked == []
    assert pool.figures() == []


def test_keys_show_nowhere(pool: KeyPool) -> None:
    pool.take(RSA)
    assert "RSAPrivateKey" not in repr(pool._shelves) + repr(pool.figures())


# --- when it does not work


def test_a_failure_reaches_who_waits_and_the_next_caller_tries_again(pool: KeyPool, processes: Processes) -> None:
    processes.going.clear()
    processes.failures = [Unavailable(ErrorCode.UNAVAILABLE, "crashed twice")] * 2
    thread, found = background(lambda: pool.take(RSA))
    until(lambda: len(processes.asked) == 2)
    processes.going.set()
    thread.join()
    assert isinstance(found[0], Unavailable)
    until(lambda: not pool._threads)
    assert figures(pool).taken == 0
    pool.take(RSA)
    until(lambda: full(pool))


def test_a_failure_that_nobody_waits_for_ends_the_filling(pool: KeyPool, processes: Processes) -> None:
    processes.failures = [Unavailable(ErrorCode.UNAVAILABLE, "no process")] * 50
    pool.warm(RSA)
    until(lambda: not pool._threads)
    assert len(processes.asked) <= 2
    assert figures(pool).made == 0


def test_too_many_callers_are_refused(pool: KeyPool, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_pool, "_WAITING_AT_MOST", 1)
    processes.going.clear()
    thread, found = background(lambda: pool.take(RSA))
    until(lambda: bool(pool._shelves) and bool(pool._shelves[2048].waiting))
    with pytest.raises(Unavailable, match="Too many") as caught:
        pool.take(RSA)
    assert caught.value.retry_after is not None
    processes.going.set()
    thread.join()
    assert isinstance(found[0], rsa.RSAPrivateKey)


def test_who_stops_waiting_gets_no_key_and_loses_none(
    pool: KeyPool, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_pool, "_TIMEOUT", key_pool._TIMEOUT * 0)
    processes.going.clear()
    with pytest.raises(Unavailable, match="in time"):
        pool.take(RSA)
    processes.going.set()
    until(lambda: full(pool))
    assert figures(pool) == KeyPoolFigures(bits=2048, depth=4, taken=0, misses=1, made=4)


def test_closing_refuses_who_waits_and_forgets_the_keys(processes: Processes) -> None:
    pool = pool_of(processes)
    pool.warm(RSA)
    until(lambda: full(pool))
    processes.going.clear()
    thread, found = background(lambda: pool.take(RSA_3072))
    until(lambda: 3072 in pool._shelves)
    pool.close()
    thread.join()
    assert isinstance(found[0], Unavailable)
    assert [each.depth for each in pool.figures()] == [0, 0]
    assert processes.closed
    assert not pool._threads
    with pytest.raises(Unavailable, match="stopping"):
        pool.take(RSA)
    pool.warm(RSA)
    assert not pool._threads


# --- with real processes


def test_keys_come_from_processes_of_the_lowest_priority() -> None:
    pool = KeyPool(size=1, makers=1)
    assert pool._processes.running == 0
    key = cast("rsa.RSAPrivateKey", pool.take(RSA))
    assert key.key_size == 2048
    assert pool._processes.run(os.nice, 0) == 19
    until(lambda: full(pool, 1))
    assert figures(pool).made == 2
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 5
    assert pool._processes.running == 0


def test_a_crash_of_the_process_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = KeyPool(size=2, makers=1)
    pid = pool._processes.run(os.getpid)
    os.kill(pid, 9)
    assert isinstance(pool.take(RSA), rsa.RSAPrivateKey)
    until(lambda: full(pool, 2))
    assert pool._processes.run(os.getpid) != pid
    pool.close()


def test_closing_ends_a_process_in_the_middle_of_a_key() -> None:
    pool = KeyPool(makers=1)
    thread, found = background(lambda: pool.take(KeySpec(kind="rsa", bits=8192)))
    until(lambda: bool(pool._processes._busy))
    started = time.monotonic()
    pool.close()
    thread.join()
    assert time.monotonic() - started < 5
    assert isinstance(found[0], Unavailable)


def test_the_process_loads_nothing_but_what_keys_need() -> None:
    program = (
        "import sys\nfrom strongroom.pki.keys import generate_key_der\n"
        "print({name.split('.')[1] for name in sys.modules if name.startswith('strongroom.')} - {'pki', 'kernel'})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "set()"


def test_template_for_rsa_keys_has_them_made_ahead(server: InProcess) -> None:
    pool = server.container.keys
    assert (create_root(server).status, create_intermediate(server).status) == (201, 201)
    before = pool.figures()

    made = create_template(server, key_type="rsa")

    assert made.status == 201, made.raw
    assert before == []
    assert [figures.bits for figures in pool.figures()] == [2048]
