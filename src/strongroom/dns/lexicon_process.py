"""The process that dns-lexicon runs in; started by `lexicon.py`, one record each.

What the library may do is limited by an audit hook, because it connects where its options say and reads files that they
name: every address is asked about first, files of the interpreter and of the system's TLS and name resolution can be
read, nothing can be written, and no program started.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

_TIMEOUT: Final = 30.0
_MOST_WORDS: Final = 2000
_SERVER_ERRORS: Final = 500
_TOO_MANY: Final = 429
_STARTERS: Final = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen")
_CHANGERS: Final = ("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink")
_SENDERS: Final = ("socket.connect", "socket.sendmsg", "socket.sendto")
_SYSTEM: Final = (
    "/dev/null",
    "/dev/urandom",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki/",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs/",
    "/etc/ssl/openssl.cnf",
    "/usr/",
)


class _Pipes:
    """The way to and from the server; nothing else can use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb")
        empty = os.open(os.devnull, os.O_RDWR)
        os.dup2(empty, 0)
        os.dup2(empty, 1)
        os.close(empty)

    def hear(self) -> Mapping[str, Any]:
        """Return the next line."""
        heard = json.loads(self._in.readline())
        return heard if isinstance(heard, dict) else {}

    def say(self, said: Mapping[str, Any]) -> None:
        """Send a line."""
        self._out.write(json.dumps(said).encode() + b"\n")
        self._out.flush()

    def may_reach(self, address: str) -> bool:
        """Ask whether an address may be contacted."""
        with self._lock:
            self.say({"address": address})
            return self.hear().get("allowed") is True


class _Limits:
    """The audit hook."""

    def __init__(self, pipes: _Pipes) -> None:
        self._pipes = pipes
        code = {os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, *sys.path) if place}
        self._readable = (*_SYSTEM, *(f"{place}/" for place in code if place != "/"))

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Refuse what is out of bounds."""
        if event in _SENDERS:
            self._check_address(args[1])
        elif event == "open":
            self._check_file(*args)
        elif event in _STARTERS or event in _CHANGERS:
            raise PermissionError(f"{event} is not allowed here")

    def _check_address(self, address: Any) -> None:
        if address is None:
            # The socket is connected already.
            return
        host = str(address[0]).partition("%")[0] if isinstance(address, tuple) else ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise PermissionError("only addresses of the Internet may be contacted") from None
        if not self._pipes.may_reach(host):
            raise PermissionError(f"{host} may not be contacted")

    def _check_file(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        is_write = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)) if isinstance(flags, int) else True
        is_write = is_write or (isinstance(mode, str) and any(sign in mode for sign in "wax+"))
        found = os.path.realpath(os.fsdecode(path))
        if found == os.devnull:
            return
        if is_write or not (found + "/").startswith(self._readable):
            raise PermissionError("files of this machine may not be used")


class _Report:
    """Ends the process with a line that says what became of it, whatever the library raises."""

    def __init__(self, pipes: _Pipes) -> None:
        self._pipes = pipes
        self.is_absent = False
        """Whether the record to remove was not found: then the library may raise what it likes."""

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Take the place of the printed trace, which would show the options."""
        del kind, trace
        said = _verdict(error)
        if self.is_absent and said["outcome"] == "error":
            said = {"outcome": "done"}
        self._pipes.say(said)


def main() -> None:
    """Add or remove one record."""
    pipes = _Pipes()
    report = _Report(pipes)
    sys.excepthook = report
    asked = pipes.hear()
    socket.setdefaulttimeout(_TIMEOUT)

    # The whole module, because what it has imported is changed below.
    from lexicon import client
    from lexicon.config import ConfigResolver

    # The zone is known. The library would look for it in a list of suffixes that it fetches from the network.
    vars(client)["tldextract"] = _Suffixes
    sys.addaudithook(_Limits(pipes))
    settings = ConfigResolver().with_dict(  # type: ignore[no-untyped-call]
        {
            "provider_name": asked["provider"],
            "domain": asked["zone"],
            "ttl": asked["ttl"],
            asked["provider"]: asked["options"],
        }
    )
    name, text = asked["name"], asked["value"]
    with client.Client(settings) as operations:
        listed = operations.list_records("TXT", name, text)
        is_there = any(str(one.get("content", "")).strip('"') == text for one in listed or [])
        if asked["step"] == "present":
            is_done = is_there or operations.create_record("TXT", name, text)
        else:
            report.is_absent = not is_there
            # Also if it was not found: some of the library's lists are not complete.
            is_done = operations.delete_record(None, "TXT", name, text) or not is_there
    said = "The vendor did not take the change, and gave no reason."
    pipes.say({"outcome": "done"} if is_done else {"outcome": "error", "message": said})


class _Suffixes:
    """Stands where the library expects the package that knows suffixes."""

    @staticmethod
    def TLDExtract(**_: Any) -> type[_Split]:  # noqa: N802  (its name)
        """Return what takes a name apart."""
        return _Split


class _Split:
    """Takes the first label for the name and the rest for its suffix, so that both together are the zone."""

    def __init__(self, name: str) -> None:
        self.domain, _, self.suffix = name.partition(".")


def _verdict(error: BaseException) -> Mapping[str, Any]:
    """Return what an exception of the library stands for."""
    from lexicon.exceptions import AuthenticationError, ProviderNotAvailableError

    words = " ".join(f"{type(error).__name__}: {error}".split())[:_MOST_WORDS]
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(status, int):
        # The text of the error has the address, with whatever credential the vendor wants in it.
        words = f"the vendor answers {status}."
        if status in {401, 403}:
            return {"outcome": "authorization", "message": words}
        if status == _TOO_MANY or status >= _SERVER_ERRORS:
            return {"outcome": "unavailable", "message": words, "retry_after": _retry_after(response)}
        return {"outcome": "error", "message": words}
    if isinstance(error, AuthenticationError):
        said = str(error).lower()
        is_zone = ("domain" in said or "zone" in said) and ("found" in said or "not managed" in said)
        return {"outcome": "no_zone" if is_zone else "authorization", "message": words}
    if isinstance(error, ProviderNotAvailableError | ImportError):
        return {"outcome": "error", "message": f"a package that this provider needs is not installed ({words})."}
    # What the HTTP library raises are errors of the system, too; of values those that it never sent.
    if isinstance(error, OSError) and not isinstance(error, PermissionError | ValueError):
        return {"outcome": "unavailable", "message": "the vendor cannot be reached."}
    return {"outcome": "error", "message": words}


def _retry_after(response: Any) -> int | None:
    after = str(response.headers.get("Retry-After", ""))
    return int(after) if after.isdecimal() and len(after) < 10 else None


if __name__ == "__main__":
    main()
