"""A process that dies at a chosen step, to see what a kill there leaves behind.

The steps are the calls that change a disk or a database: the functions of `os`, and commits. Nothing in the
product knows about it. `Mortal` is the side of the test; run as a program, this file is the other: it
imports the product once, and divides for every request, so that a step costs a fork and not a start.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers.server import Answer

ROOT = Path(__file__).resolve().parents[2]
_CALLS = ("open", "mkdir", "write", "fsync", "replace", "rename", "link", "unlink")


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes:
        steps: what was about to be done or just done, in order; the last one is where it died.
        died: it was killed, and not by itself.
        error: class and text of what it raised.
        answers: what requests had been answered until then.
    """

    steps: list[str]
    died: bool
    error: str | None
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class Sent:
    """One request of the action ``send``."""

    method: str
    path: str
    body: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    by_administrator: bool = True


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
        return End(
            steps=answer["steps"],
            died=answer["died"],
            error=answer["error"],
            answers=[
                Answer(item["status"], item["headers"], base64.b64decode(item["raw"])) for item in answer["answers"]
            ],
        )

    def send(self, data_dir: Path, at: datetime, requests: Sequence[Sent], *, die_at: int | None = None) -> End:
        """Send requests to a server over this data directory; only what happens once it runs is a step.

        Args:
            data_dir: of a server that is not running.
            at: what its clock shows.
            requests: sent one after the other.
            die_at: index of the step at which a kill comes.
        """
        given = [
            {**asdict(item), "raw": None if item.raw is None else base64.b64encode(item.raw).decode()}
            for item in requests
        ]
        return self.run("send", {"data_dir": data_dir}, die_at=die_at, at=at.isoformat(), requests=given)


class _Steps:
    """Counts what changes something, and kills this process at the chosen one."""

    def __init__(self, die_at: int | None, told: int) -> None:
        self._die_at = die_at
        self._told = told
        self._count = 0
        self._write = os.write
        self._telling = threading.Lock()

    def step(self, label: str) -> None:
        self.tell(label)
        if self._count == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1

    def tell(self, line: str) -> None:
        data = f"{line}\n".encode()
        with self._telling:
            while data:
                data = data[self._write(self._told, data) :]

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


def _send(settings: Any, steps: _Steps, at: str, requests: list[dict[str, Any]]) -> None:
    from strongroom.kernel.clock import FrozenClock
    from tests.peers.in_process import in_process

    with in_process(settings.data_dir, FrozenClock(datetime.fromisoformat(at))) as server:
        server.administrator()
        steps.install()
        for item in requests:
            answer = server.request(
                item["method"],
                item["path"],
                item["body"],
                raw=None if item["raw"] is None else base64.b64decode(item["raw"]),
                headers=item["headers"],
                token="administrator" if item["by_administrator"] else None,
            )
            told = {
                "status": answer.status,
                "headers": dict(answer.headers),
                "raw": base64.b64encode(answer.raw).decode(),
            }
            steps.tell(f"answer {json.dumps(told)}")


ACTIONS: dict[str, Callable[..., None]] = {"init": _init, "rotate": _rotate, "restore": _restore, "backup": _backup}


def _perform(wish: dict[str, Any], told: int) -> None:
    from strongroom.runtime.settings import load_settings

    settings = load_settings(wish["settings"])
    steps = _Steps(wish["die_at"], told)
    if wish["action"] == "send":
        _send(settings, steps, **wish["more"])
        return
    steps.install()
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
    answers = [json.loads(line.removeprefix("answer ")) for line in lines if line.startswith("answer ")]
    return {
        "steps": [line for line in lines if not line.startswith(("error ", "answer "))],
        "answers": answers,
        "died": os.WIFSIGNALED(status),
        "error": errors[0] if errors else None,
    }


def _main() -> None:
    # Before dividing: what is imported later would be imported again by each.
    from strongroom.runtime import backup, container
    from strongroom.storage import postgresql, sqlite
    from tests.peers import in_process

    del backup, container, in_process, postgresql, sqlite
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_divide(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
