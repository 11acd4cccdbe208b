"""Chat services by way of the library Apprise, an extra; every request it makes goes through the guard.

Its plug-ins call the module ``requests`` by name. That name is replaced in each of them by a stand-in that sends with
a guarded session, for the time of one notice; plug-ins that speak something else than HTTP are refused.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from strongroom.domain.notifications.model import Address, Attempt, Notice
from strongroom.domain.notifications.payload import headline, lines
from strongroom.kernel.errors import ErrorCode, Internal, Invalid
from strongroom.notify.posting import STARS, url_of

if TYPE_CHECKING:
    from types import ModuleType

_INSTALL: Final = "Install it with: pip install 'strongroom[apprise]'"
_REFUSED: Final = frozenset({"attach", "include", "keyfile", "pgpkey", "retry", "subfile", "template", "wait"})
"""Parameters by which a plug-in would read a file of the server, or hold up a thread with tries of its own."""
_PLUGINS: Final = "apprise.plugins."
_BASE: Final = "apprise.plugins.base"
_SHOWN_LINES: Final = 20

SessionMaker = Callable[[], Any]
_active = threading.local()


class AppriseSender:
    """Sends with Apprise.

    Args:
        session: makes a session of ``requests`` that contacts only what the guard allows.
    """

    def __init__(self, session: SessionMaker) -> None:
        self._session = session

    def check(self, address: Address) -> None:
        """Refuse an address that Apprise does not know, or that would go past the guard.

        Raises:
            Invalid: ``not_supported`` without the library; ``invalid_field`` otherwise.
        """
        _service(url_of(address))

    def show(self, url: str) -> str:
        """Return the kind of service alone: tokens may stand anywhere in the rest."""
        return f"{url.partition(':')[0]}://{STARS}"

    def send(self, address: Address, notice: Notice) -> Attempt:
        """Send one message.

        Raises:
            Invalid: the address is not possible any more, or its host must not be contacted.
            Unavailable: nothing usable came back.
        """
        service = _service(url_of(address))
        found = lines(notice.payload)
        shown = found[:_SHOWN_LINES] + ([f"and {len(found) - _SHOWN_LINES} more"] if len(found) > _SHOWN_LINES else [])
        title = headline(notice.payload)
        with _sending(self._session):
            success = service.notify(body="\n".join(shown) or title, title=title)
        name = str(service.service_name)
        return Attempt(success=bool(success), message=f"{name} took it." if success else f"{name} did not take it.")


def _service(url: str) -> Any:
    """Return what sends to an address."""
    library = _library()
    names = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    if names & _REFUSED:
        listed = ", ".join(sorted(_REFUSED))
        raise Invalid(ErrorCode.INVALID_FIELD, f"url must have none of the parameters {listed}.", field="url")
    # Neither lets redirects lead elsewhere nor keeps anything on the disk.
    asset = library.AppriseAsset(async_mode=False, http_redirects=False, storage_mode="memory")
    service = library.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            "url must be an address that Apprise understands, such as tgram://TOKEN/CHAT.",
            field="url",
        )
    if not _speaks_http_only(type(service)):
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{service.service_name} is not reached by HTTP, and nothing else is let out.",
            field="url",
        )
    return service


@cache
def _library() -> ModuleType:
    """Import Apprise with all its plug-ins, and put the stand-in into them; takes a second."""
    try:
        library = importlib.import_module("apprise")
        managers = importlib.import_module("apprise.manager_plugins")
    except ImportError:
        raise Invalid(
            ErrorCode.NOT_SUPPORTED, "Destinations of type apprise need the extra apprise.", field="type", hint=_INSTALL
        ) from None
    # It would tell of every address, and of what services answer.
    logging.getLogger("apprise").disabled = True
    with warnings.catch_warnings():
        # Old modules of the standard library that some plug-ins use.
        warnings.simplefilter("ignore", DeprecationWarning)
        managers.NotificationManager().load_modules()
    for name, module in list(sys.modules.items()):
        real = getattr(module, "requests", None) if name.startswith("apprise.") else None
        if getattr(real, "__name__", "") == "requests":
            module.requests = _Requests(real)  # type: ignore[attr-defined]
    return library


def _speaks_http_only(plugin: type[Any]) -> bool:
    own = [name for name in (kind.__module__ for kind in plugin.__mro__) if name.startswith(_PLUGINS) and name != _BASE]
    return any(isinstance(getattr(sys.modules[name], "requests", None), _Requests) for name in own)


class _Requests:
    """Stands for the module ``requests``: the same names, but what is sent goes through the guard."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        """Return exceptions, codes and the like."""
        return getattr(self._real, name)

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Send one request."""
        with self.Session() as session:
            return session.request(method, url, **options)

    def get(self, url: str, **options: Any) -> Any:
        """Send one GET."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Any:
        """Send one POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> Any:
        """Send one PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> Any:
        """Send one PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> Any:
        """Send one DELETE."""
        return self.request("DELETE", url, **options)

    def head(self, url: str, **options: Any) -> Any:
        """Send one HEAD."""
        return self.request("HEAD", url, **options)

    def Session(self) -> Any:  # noqa: N802  (its name in the library)
        """Return a guarded session."""
        make: SessionMaker | None = getattr(_active, "session", None)
        if make is None:
            raise Internal(ErrorCode.INTERNAL, "A plug-in of Apprise sent something outside of a notice.")
        return make()

    session = Session


@contextmanager
def _sending(session: SessionMaker) -> Iterator[None]:
    """Let plug-ins send in this thread."""
    _active.session = session
    try:
        yield
    finally:
        _active.session = None
