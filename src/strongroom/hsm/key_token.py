"""The port `KeyToken` over a PKCS#11 library, which is loaded when the first key is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strongroom.hsm.keys import TokenKey, describe_public_key, wrap_key
from strongroom.hsm.reference import KeyReference, parse_reference
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound, Unavailable
from strongroom.kernel.ids import SecretId
from strongroom.kernel.secret import Secret
from strongroom.pki.draft import SigningKey
from strongroom.pki.keys import KeySpec

if TYPE_CHECKING:
    from pkcs11 import Mechanism

    from strongroom.hsm.library import Library
    from strongroom.hsm.objects import FoundKey


PinOf = Callable[[SecretId], str]
"""Reads the PIN out of a secret; called whenever a token may want a login, never while the library is locked."""


class Pkcs11KeyToken:
    """Keys in the tokens of one library.

    Args:
        library: the shared object; ``None`` refuses every key.
        pin_of: where PINs come from.
    """

    def __init__(self, library: Path | None, pin_of: PinOf) -> None:
        self._path = library
        self._pin_of = pin_of

    def open(self, reference: Mapping[str, Any]) -> SigningKey:
        """Return the key of a reference that `find_or_generate` returned."""
        with _as_unavailable():
            wanted = parse_reference(reference)
            library = self._library()
            found = library.find(wanted, self._pin(wanted))
        if found is None:
            raise Unavailable(
                ErrorCode.UNAVAILABLE, f"The token '{wanted.token_label}' has no private key with {wanted} any more."
            )
        return self._key(library, found)

    def find_or_generate(self, reference: Mapping[str, Any], spec: KeySpec) -> tuple[SigningKey, Mapping[str, Any]]:
        """Return the key of a reference, made in the token if it is absent and may be generated."""
        wanted = parse_reference(reference)
        library = self._library()
        pin = self._pin(wanted)
        found = library.ensure(wanted, spec, pin) if wanted.allow_generate else library.find(wanted, pin)
        if found is None:
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"The token '{wanted.token_label}' has no private key with {wanted}.",
                field=wanted.field,
                hint="Set crypto_key.allow_generate_key to true to have it made.",
            )
        real = describe_public_key(found.public)
        if real != spec:
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"The key with {wanted} in token '{wanted.token_label}' is {real.kind} with {real.bits} bits, not "
                f"{spec.kind} with {spec.bits} bits.",
                field="key_type" if real.kind != spec.kind else "key_bits",
                hint=f"Set key_type to {real.kind} and key_bits to {real.bits}, or name another key.",
            )
        return self._key(library, found), found.reference.to_mapping()

    def _pin(self, wanted: KeyReference) -> Secret[str]:
        return Secret(self._pin_of(wanted.pin_secret_id))

    def _key(self, library: Library, found: FoundKey) -> TokenKey:
        name = f"key with {found.reference} in token '{found.reference.token_label}'"
        return wrap_key(name, found.public, _Signer(library, found, self._pin))

    def _library(self) -> Library:
        if self._path is None:
            raise Invalid(
                ErrorCode.NOT_SUPPORTED,
                "crypto_key cannot be used: this server has no PKCS#11 library.",
                field="crypto_key",
                hint="Name the library in the setting pkcs11_library.",
            )
        try:
            from strongroom.hsm.library import load_library
        except ModuleNotFoundError as error:
            if error.name != "pkcs11":
                raise
            raise Invalid(
                ErrorCode.NOT_SUPPORTED,
                "crypto_key cannot be used: this server was installed without its driver for PKCS#11.",
                field="crypto_key",
                hint="Install Strongroom with the extra hsm.",
            ) from None
        return load_library(self._path)


class _Signer:
    """Signs with one key. It knows no handle of the token, because those do not outlive a session."""

    def __init__(self, library: Library, found: FoundKey, pin: Callable[[KeyReference], Secret[str]]) -> None:
        self._library = library
        self._reference = found.reference
        self._public = found.public
        self._pin = pin

    def sign_pkcs1(self, digest_info: bytes) -> bytes:
        from pkcs11 import Mechanism

        return self._sign(digest_info, Mechanism.RSA_PKCS)

    def sign_ecdsa(self, digest: bytes) -> bytes:
        from pkcs11 import Mechanism

        return self._sign(digest, Mechanism.ECDSA)

    def _sign(self, data: bytes, mechanism: Mechanism) -> bytes:
        from strongroom.hsm.library import LoginNeededError

        label = self._reference.token_label
        with _as_unavailable():
            try:
                return self._library.sign(self._reference, self._public, data, mechanism)
            except LoginNeededError:
                self._library.log_in(label, self._pin(self._reference))
            try:
                return self._library.sign(self._reference, self._public, data, mechanism)
            except LoginNeededError as error:
                raise Unavailable(ErrorCode.UNAVAILABLE, f"The token '{label}' failed ({error}); try again.") from error


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    """Blame the world and not the request: key and PIN were there when the reference was stored."""
    try:
        yield
    except (Invalid, NotFound, Conflict) as error:
        raise Unavailable(ErrorCode.UNAVAILABLE, error.detail, hint=error.hint) from error
