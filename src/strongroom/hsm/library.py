"""One PKCS#11 library in this process: tokens, logins, and the lock around all of it.

The driver initialises a library for use by one thread, so every call goes through one lock. A login counts for the
whole process: it is made once per token and kept until the token forgets it.
"""

from __future__ import annotations

import contextlib
import hmac
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pkcs11
from pkcs11 import Mechanism
from pkcs11 import exceptions as failures

from strongroom.hsm import objects
from strongroom.hsm.keys import TokenPublicKey
from strongroom.hsm.objects import FoundKey
from strongroom.hsm.reference import KeyReference
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.kernel.secret import Secret
from strongroom.pki.keys import KeySpec

_WRONG_PIN: Final = (failures.PinIncorrect, failures.PinInvalid, failures.PinLenRange)
_UNUSABLE_PIN: Final = (failures.PinLocked, failures.PinExpired, failures.UserPinNotInitialized)
_CANNOT_MAKE: Final = (
    failures.AttributeValueInvalid,
    failures.KeySizeRange,
    failures.MechanismInvalid,
    failures.MechanismParamInvalid,
    failures.TemplateInconsistent,
    failures.TokenWriteProtected,
)
_KEPT_REFUSALS: Final = 16


class LoginNeededError(Exception):
    """The token has no login of ours, or has just lost it; its text says why."""


@dataclass(slots=True, kw_only=True)
class _Login:
    """The state of one token.

    Attributes:
        pin: what it let us in with.
        keys: what was found since.
    """

    session: pkcs11.Session
    pin: Secret[str]
    keys: dict[KeyReference, FoundKey] = field(default_factory=dict)


class Library:
    """A loaded library.

    Args:
        path: of the shared object.

    Raises:
        Unavailable: it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._logins: dict[str, _Login] = {}
        self._refused: dict[str, list[Secret[str]]] = {}
        with _translated("The PKCS#11 library of this server cannot be loaded"):
            self._driver = pkcs11.lib(str(path))

    def find(self, wanted: KeyReference, pin: Secret[str]) -> FoundKey | None:
        """Return the key of a reference, proven to belong to its public key object, or ``None``.

        Raises:
            Invalid: the token is absent, refuses the PIN, or has a key that cannot be used.
            Unavailable: the token fails.
        """
        label = wanted.token_label
        with self._lock:
            if self._is_alive(label):
                with contextlib.suppress(pkcs11.PKCS11Error):
                    found = self._find(self._log_in(label, pin), wanted)
                    if found is not None:
                        return found
            # Without a login private keys cannot be seen, so absence counts after a fresh one only.
            self._log_out(label)
            try:
                return self._find(self._log_in(label, pin), wanted)
            except pkcs11.PKCS11Error as error:
                self._log_out(label)
                raise _fails(label, error) from error

    def ensure(self, wanted: KeyReference, spec: KeySpec, pin: Secret[str]) -> FoundKey:
        """Return the key of a reference, made if it is not there.

        Raises:
            Invalid: as `find`, or the token does not make such keys.
            Unavailable: the token fails.
        """
        with self._lock:
            found = self.find(wanted, pin)
            if found is not None:
                return found
            login = self._log_in(wanted.token_label, pin)
            try:
                session = login.session.token.open(rw=True)
                try:
                    made = objects.generate_key(session, wanted, spec)
                finally:
                    session.close()
            except _CANNOT_MAKE as error:
                raise Invalid(
                    ErrorCode.INVALID_FIELD,
                    f"The token '{wanted.token_label}' does not make {spec.kind} keys of {spec.bits} bits "
                    f"({_name(error)}).",
                    field="crypto_key",
                    hint="Choose another key_type or key_bits, or make the key with the tools of the token.",
                ) from error
            except pkcs11.PKCS11Error as error:
                self._log_out(wanted.token_label)
                raise _fails(wanted.token_label, error) from error
            found = self.find(made, pin)
        if found is None:
            raise Unavailable(
                ErrorCode.UNAVAILABLE, f"The token '{wanted.token_label}' does not show the key that it made."
            )
        return found

    def log_in(self, token_label: str, pin: Secret[str]) -> None:
        """Log in to a token, unless that was done with the same PIN.

        Raises:
            Invalid: the token is absent or refuses the PIN.
            Unavailable: the token fails.
        """
        with self._lock:
            self._log_in(token_label, pin)

    def sign(self, wanted: KeyReference, public: TokenPublicKey, data: bytes, mechanism: Mechanism) -> bytes:
        """Sign bytes with a key that was found before.

        Args:
            wanted: the key, with its ID.
            public: what its public key must be.
            data: no more than the key signs at once.
            mechanism: how.

        Raises:
            LoginNeededError: log in and try again.
            Invalid: the key cannot be used any more.
            Unavailable: the key is not there any more or is another one.
        """
        label = wanted.token_label
        with self._lock:
            login = self._logins.get(label)
            if login is None:
                raise LoginNeededError("there is no login")
            try:
                found = self._find(login, wanted)
                if found is not None and found.public == public:
                    return objects.sign_with(found, data, mechanism, login.pin)
            except pkcs11.PKCS11Error as error:
                # A token that was taken out, or a connection that broke, shows at the next use.
                self._log_out(label)
                raise LoginNeededError(_name(error)) from error
        gone = "is not there any more" if found is None else "is another key than before"
        raise Unavailable(ErrorCode.UNAVAILABLE, f"The key with {wanted} in token '{label}' {gone}.")

    def _find(self, login: _Login, wanted: KeyReference) -> FoundKey | None:
        known = login.keys.get(wanted)
        if known is not None:
            return known
        found = objects.find_key(login.session, wanted)
        if found is not None:
            objects.prove_pair(found, login.pin)
            login.keys[found.reference] = found
        return found

    def _log_in(self, token_label: str, pin: Secret[str]) -> _Login:
        login = self._logins.get(token_label)
        if login is not None and _same(login.pin, pin):
            return login
        # A token locks itself after a few wrong PINs, and whoever signs tries again and again.
        if any(_same(refused, pin) for refused in self._refused.get(token_label, ())):
            raise _pin_refused(token_label, "was refused before and is not tried again")
        # Those who gave another PIN log in again by themselves.
        self._log_out(token_label)
        return self._open_session(token_label, pin)

    def _is_alive(self, token_label: str) -> bool:
        """Tell whether there is a session that the token still knows.

        The driver complains on standard error about a search in a session that is lost.
        """
        login = self._logins.get(token_label)
        if login is None:
            return False
        try:
            login.session.generate_random(8)
        except (failures.RandomNoRNG, failures.FunctionNotSupported):
            return True
        except pkcs11.PKCS11Error:
            return False
        return True

    def _open_session(self, token_label: str, pin: Secret[str]) -> _Login:
        token = self._find_token(token_label)
        try:
            session = token.open(user_pin=pin.reveal())
        except _WRONG_PIN as error:
            self._refused[token_label] = [*self._refused.get(token_label, []), pin][-_KEPT_REFUSALS:]
            raise _pin_refused(token_label, f"is wrong ({_name(error)})") from error
        except _UNUSABLE_PIN as error:
            raise _pin_refused(token_label, f"cannot be used now ({_name(error)})") from error
        except pkcs11.PKCS11Error as error:
            raise _fails(token_label, error) from error
        login = self._logins[token_label] = _Login(session=session, pin=pin)
        return login

    def _log_out(self, token_label: str) -> None:
        login = self._logins.pop(token_label, None)
        if login is not None:
            with contextlib.suppress(pkcs11.PKCS11Error):
                login.session.close()

    def _find_token(self, label: str) -> pkcs11.Token:
        found = self._tokens(label)
        if not found and not self._logins:
            # Many libraries see tokens that came later, or came back, only after a fresh start.
            with _translated("The PKCS#11 library of this server cannot be started again"):
                self._driver.reinitialize()
            found = self._tokens(label)
        if len(found) == 1:
            return found[0]
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"The PKCS#11 library of this server has {len(found) or 'no'} token{'s' if found else ''} with the label "
            f"'{label}'; it must have one.",
            field="crypto_key.provider.token_label",
            hint="List the tokens with `pkcs11-tool --module LIBRARY --list-token-slots`. If the token is new, restart "
            "the server.",
        )

    def _tokens(self, label: str) -> list[pkcs11.Token]:
        with contextlib.suppress(pkcs11.PKCS11Error):
            return list(self._driver.get_tokens(token_label=label))
        return []


_loaded: Final[dict[Path, Library]] = {}
_loading: Final = threading.Lock()


def load_library(path: Path) -> Library:
    """Return the library at a path, loaded once per process: logins and the lock belong to the process.

    Raises:
        Unavailable: it cannot be loaded.
    """
    with _loading:
        if path not in _loaded:
            _loaded[path] = Library(path)
        return _loaded[path]


def _same(one: Secret[str], other: Secret[str]) -> bool:
    return hmac.compare_digest(one.reveal().encode(), other.reveal().encode())


def _name(error: pkcs11.PKCS11Error) -> str:
    # Most have no text. That of a library that does not load would show its path.
    text = str(error)
    return text if text.startswith("Unmapped error code") else type(error).__name__


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise Unavailable(
            ErrorCode.UNAVAILABLE, f"{what} ({_name(error)}).", hint="Check the setting pkcs11_library."
        ) from error


def _fails(token_label: str, error: pkcs11.PKCS11Error) -> Unavailable:
    return Unavailable(ErrorCode.UNAVAILABLE, f"The token '{token_label}' failed ({_name(error)}); try again.")


def _pin_refused(token_label: str, why: str) -> Invalid:
    return Invalid(
        ErrorCode.INVALID_FIELD,
        f"The PIN in the secret of crypto_key.provider.pin_secret_id {why} for token '{token_label}'.",
        field="crypto_key.provider.pin_secret_id",
        hint="Store the user PIN of the token as the secret's newest version. If the token was given the refused PIN "
        "since, restart the server.",
    )
