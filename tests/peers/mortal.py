"""A process that dies at a chosen step, to see what a kill there leaves behind.

The steps are the calls that change a disk or a database: the functions of `os`, and commits. Nothing in the
product knows about it. `Mortal` is the side of the test; run as a program, this file is the other: it
imports the product once, and divides for every request, so that a step costs a fork and not a start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
_CALLS = ("open", "mkdir", "write", "fsync", "replace", "rename", "link", "unlink")


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes:
        steps: what was about to be done or just done, in order; the last one is where it died.
        died: it was killed, and not by itself.
        error: class and text of what it raised.
    """

    steps: list[str]
    died: bool
    error: str | None


class Mortal:
    """Runs actions that die."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start the program."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("STRONGROOM_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        environment.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / "build" / "pycache"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.peers.mortal"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the program."""
        assert self._process is not None
        self._process.communicate()

    def run(self, action: str, settings: dict[str, Any], *, die_at: int | None = None, **more: Any) -> End:
        """Run an action.

        Args:
            action: a key of ``ACTIONS``.
            settings: as flags.
            die_at: index of the step at which a kill comes; never without it.
            more: given to the action.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        wish = {"action": action, "settings": settings, "die_at": die_at, "more": more}
        process.stdin.write(json.dumps(wish, default=str) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        return End(steps=answer["steps"], died=answer["died"], error=answer["error"])


class _Steps:
    """Counts what changes something, and kills this process at the chosen one."""

    def __init__(self, die_at: int | None, told: int) -> None:
        self._die_at = die_at
        self._told = told
        self._count = 0
        self._write = os.write

    def step(self, label: str) -> None:
        self._write(self._told, f"{label}\n".encode())
        if self._count == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1

    def around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a step before and after it."""

        def counted(*given: Any, **more: Any) -> Any:
            if name == "open" and not (given[1] & os.O_CREAT):
                return real(*given, **more)
            target = _named(given[0])
            self.step(f"before {name} {target}")
            result = real(*given, **more)
            self.step(f"after {name} {target}")
            return result

        return counted

    def install(self) -> None:
        from strongroom.storage.postgresql import PostgresConnection
        from strongroom.storage.sqlite import SqliteConnection

        for name in _CALLS:
            setattr(os, name, self.around(name, getattr(os, name)))
        for kind in (SqliteConnection, PostgresConnection):
            setattr(kind, "commit", self.around("commit", kind.commit))  # noqa: B010  (mypy: a method)


def _named(what: Any) -> str:
    if isinstance(what, int):
        return Path(f"/proc/self/fd/{what}").readlink().name
    if isinstance(what, str | os.PathLike):
        return Path(what).name
    return type(what).__name__


def _init(settings: Any) -> None:
    from strongroom.runtime.bootstrap import prepare_data_dir

    prepare_data_dir(settings)


def _rotate(settings: Any) -> None:
    from strongroom.runtime.bootstrap import clock_of, open_store
    from strongroom.runtime.data_dir import DataDir
    from strongroom.runtime.master_key import MasterKeyRotation
    from strongroom.runtime.server_keys import store_keys, stored_kek

    with DataDir(settings.data_dir) as directory:
        store = open_store(settings, directory, clock_of(settings))
        try:
            MasterKeyRotation(
                storage=store.storage,
                keyring=store.keys.keyring,
                provider=store.keys.provider,
                store=lambda unit, records: store_keys(unit, [stored_kek(record) for record in records]),
            ).rotate()
        finally:
            store.storage.close()


def _restore(settings: Any, source: str, passphrase: str) -> None:
    from strongroom.runtime.backup import restore_backup

    restore_backup(settings, Path(source), passphrase)


def _backup(settings: Any, out: str, passphrase: str) -> None:
    from strongroom.runtime.backup import create_backup

    create_backup(settings, Path(out), passphrase, include_master_key=True)


ACTIONS: dict[str, Callable[..., None]] = {"init": _init, "rotate": _rotate, "restore": _restore, "backup": _backup}


def _perform(wish: dict[str, Any], told: int) -> None:
    from strongroom.runtime.settings import load_settings

    settings = load_settings(wish["settings"])
    _Steps(wish["die_at"], told).install()
    ACTIONS[wish["action"]](settings, **wish["more"])


def _divide(wish: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        write = os.write
        try:
            _perform(wish, theirs)
        except BaseException as error:  # noqa: BLE001  (told to the test)
            write(theirs, f"error {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as reader:
        lines = reader.read().splitlines()
    _, status = os.waitpid(pid, 0)
    errors = [line.removeprefix("error ") for line in lines if line.startswith("error ")]
    return {
        "steps": [line for line in lines if not line.startswith("error ")],
        "died": os.WIFSIGNALED(status),
        "error": errors[0] if errors else None,
    }


def _main() -> None:
    # Before dividing: what is imported later would be imported again by each.
    from strongroom.runtime import backup, container
    from strongroom.storage import postgresql, sqlite

    del backup, container, postgresql, sqlite
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_divide(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
