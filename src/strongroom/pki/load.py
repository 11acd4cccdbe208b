"""PEM text in; certificates, keys and requests out, or an error that says what the text really is.

What is given is never changed here: callers store the text byte for byte and use these objects to look at it.
"""

from __future__ import annotations

from typing import Final, NoReturn, TypeAlias

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki import advice, armor, recognise
from strongroom.pki.advice import Wanted
from strongroom.pki.recognise import Form, Sighting, Thing

PrivateKey: TypeAlias = PrivateKeyTypes

MAX_PEM_CHARACTERS: Final = 100_000
MIN_PEM_CHARACTERS: Final = 50
MAX_CERTIFICATES: Final = 64
MAX_RSA_BITS: Final = 8192
"""Checking a larger key takes minutes of CPU."""

HELP_PAGE: Final = "import-problems"

_PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    InternalError,
    x509.InvalidVersion,
)
_ENCRYPTED: Final = (Thing.ENCRYPTED_KEY, Thing.ENCRYPTED_OPENSSH_KEY)


def load_certificates(pem: str, *, field: str) -> list[x509.Certificate]:
    """Load every certificate of a text, in its order.

    Args:
        pem: at least one CERTIFICATE block; text around blocks, CRLF, trailing spaces and a byte order mark are fine.
        field: the request member, for messages; ``intermediate`` has its own error code.

    Raises:
        Invalid: ``certificate_unreadable`` or ``intermediate_unreadable`` for damaged text, ``wrong_format`` for
            anything that is no certificate in PEM form, ``invalid_field`` for a text that is too short, too long or
            holds too many certificates.
    """
    wanted = Wanted.INTERMEDIATE if field == "intermediate" else Wanted.CERTIFICATE
    reader = _Reader(wanted, field)
    certificates: list[x509.Certificate] = []
    for block in reader.read_blocks(pem):
        thing = recognise.recognise_block(block)
        if thing is Thing.PARAMETERS:
            continue
        if thing is not Thing.CERTIFICATE:
            reader.refuse_block(block, thing)
        if len(certificates) == MAX_CERTIFICATES:
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"{field} holds more than {MAX_CERTIFICATES} certificates; send the leaf and its own chain only.",
                field=field,
                help_page=HELP_PAGE,
            )
        certificates.append(_load_certificate(block, reader))
    if not certificates:
        reader.refuse("it holds no certificate, only key parameters")
    return certificates


def load_private_key(pem: str, *, field: str, validate: bool) -> PrivateKey:
    """Load an unencrypted private key: PKCS#1, SEC1 (with or without its parameters block) or PKCS#8.

    Args:
        pem: exactly one private key.
        field: the request member, for messages.
        validate: check the arithmetic of an RSA key. That takes 50 ms for 2048 bits and seconds for 8192, holding
            the interpreter, so it belongs into a helper process; leave it out only for keys checked before.

    Raises:
        Invalid: ``key_encrypted``, ``key_unreadable``, ``wrong_format``, or ``invalid_field`` for the size.
    """
    reader = _Reader(Wanted.PRIVATE_KEY, field)
    key_block = None
    for block in reader.read_blocks(pem):
        thing = recognise.recognise_block(block)
        if thing is Thing.PARAMETERS:
            continue
        if thing is not Thing.PRIVATE_KEY:
            reader.refuse_block(block, thing)
        if key_block is not None:
            reader.refuse(f"it holds two private keys, in lines {key_block.line} and {block.line}; send one")
        key_block = block
    if key_block is None:
        reader.refuse("it holds key parameters, but no private key")
    encoded = reader.decode(key_block)
    key = _parse_key(encoded, key_block, reader, skip_rsa_checks=True)
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size > MAX_RSA_BITS:
            reader.refuse(f"it is an RSA key of {key.key_size} bits; up to {MAX_RSA_BITS} bits are supported")
        if validate:
            key = _parse_key(encoded, key_block, reader, skip_rsa_checks=False)
    return key


def load_csr(pem: str, *, field: str) -> x509.CertificateSigningRequest:
    """Load a certificate signing request and check its own signature.

    Raises:
        Invalid: ``wrong_format`` for anything else, ``invalid_field`` for damaged requests and sizes.
    """
    reader = _Reader(Wanted.CSR, field)
    blocks = reader.read_blocks(pem)
    for block in blocks:
        thing = recognise.recognise_block(block)
        if thing is not Thing.CSR:
            reader.refuse_block(block, thing)
    if len(blocks) > 1:
        reader.refuse(f"it holds {len(blocks)} signing requests; send one")
    encoded = reader.decode(blocks[0])
    try:
        request = x509.load_der_x509_csr(encoded)
        genuine = request.is_signature_valid
    except _PARSE_ERRORS:
        reader.refuse_content(blocks[0], encoded)
    if not genuine:
        reader.refuse("its signature does not fit its content, so it was changed or cut after it was made")
    return request


def _load_certificate(block: armor.Block, reader: _Reader) -> x509.Certificate:
    encoded = reader.decode(block)
    try:
        return x509.load_der_x509_certificate(encoded)
    except _PARSE_ERRORS:
        reader.refuse_content(block, encoded)


def _parse_key(encoded: bytes, block: armor.Block, reader: _Reader, *, skip_rsa_checks: bool) -> PrivateKey:
    try:
        return load_der_private_key(encoded, None, unsafe_skip_rsa_key_validation=skip_rsa_checks)
    except UnsupportedAlgorithm:
        reader.refuse("it is a key of a kind that is not supported; RSA, EC and Ed25519 keys are")
    except _PARSE_ERRORS:
        reader.refuse_content(block, encoded)


class _Reader:
    """Knows what one field wants, and refuses everything else in its name."""

    def __init__(self, wanted: Wanted, field: str) -> None:
        self._wanted = wanted
        self._field = field

    def read_blocks(self, pem: str) -> tuple[armor.Block, ...]:
        """Return at least one whole block, or raise."""
        if len(pem) > MAX_PEM_CHARACTERS:
            raise self._wrong_size(pem, f"at most {MAX_PEM_CHARACTERS} are allowed")
        found = armor.scan(pem)
        if found.damage is not None:
            self._refuse_damage(found)
        if not found.blocks:
            self._refuse_text(pem)
        return found.blocks

    def _refuse_text(self, pem: str) -> NoReturn:
        sighting = recognise.recognise_text(pem)
        if sighting.thing is Thing.EMPTY:
            self.refuse("it is empty")
        if sighting.thing is Thing.OTHER and len(pem) < MIN_PEM_CHARACTERS:
            raise self._wrong_size(pem, f"at least {MIN_PEM_CHARACTERS} are needed")
        self._refuse_format(sighting)

    def refuse_block(self, block: armor.Block, thing: Thing) -> NoReturn:
        """Raise for a block of another kind than the field wants."""
        sighting = Sighting(thing=thing, form=Form.PEM)
        label = f" ({block.label})" if thing is Thing.UNKNOWN_PEM else ""
        self._refuse_format(sighting, where=f"{label} in line {block.line}")

    def decode(self, block: armor.Block) -> bytes:
        """Return the content of a block, or raise."""
        if block.der is None:
            self.refuse(f"the block that starts in line {block.line} is not valid base64")
        return block.der

    def refuse_content(self, block: armor.Block, encoded: bytes) -> NoReturn:
        """Raise for a block whose content does not parse."""
        thing = recognise.recognise_der(encoded)
        expected = recognise.recognise_block(block)
        if thing not in {expected, Thing.UNKNOWN_BINARY}:
            self._refuse_format(
                Sighting(thing=thing, form=Form.PEM), where=f" under the heading {block.label} in line {block.line}"
            )
        self.refuse(f"the content of the {block.label} block in line {block.line} is damaged")

    def refuse(self, reason: str) -> NoReturn:
        """Raise the field's own code with this reason."""
        raise self._error(
            _UNREADABLE[self._wanted],
            f"{_REFUSALS[self._wanted]}: {self._field} cannot be used, {reason}.",
            f"`{advice.check_command(self._wanted)}` must accept the file.",
        )

    def _refuse_damage(self, found: armor.Armor) -> NoReturn:
        line = found.damaged_line
        match found.damage:
            case armor.Damage.ESCAPED_TWICE:
                reason = "its line breaks are written as a backslash and the letter n"
                hint = advice.SINGLE_LINE
            case armor.Damage.LINE_BREAKS_LOST:
                reason = f"its line breaks are missing (line {line}): BEGIN and END must stand on lines of their own"
                hint = advice.QUOTE
            case armor.Damage.INDENTED:
                reason = f"the block near line {line} is indented"
                hint = advice.NOT_INDENTED
            case _:
                reason = f"the block that starts in line {line} has no matching END line"
                hint = f"Copy the whole file; `{advice.check_command(self._wanted)}` must accept it."
        raise self._error(
            _UNREADABLE[self._wanted], f"{_REFUSALS[self._wanted]}: {self._field} cannot be used, {reason}.", hint
        )

    def _refuse_format(self, sighting: Sighting, *, where: str = "") -> NoReturn:
        encrypted = self._wanted is Wanted.PRIVATE_KEY and sighting.thing in _ENCRYPTED
        needed = f"{self._wanted} {'without a passphrase' if encrypted else 'in PEM form'}"
        raise self._error(
            ErrorCode.KEY_ENCRYPTED if encrypted else ErrorCode.WRONG_FORMAT,
            f"{_REFUSALS[self._wanted]}: {self._field} holds {sighting}{where}; {needed} is needed.",
            advice.advise(self._wanted, sighting),
        )

    def _wrong_size(self, pem: str, rule: str) -> Invalid:
        return self._error(
            ErrorCode.INVALID_FIELD,
            f"{self._field} has {len(pem)} characters; {rule} for {self._wanted} in PEM form.",
            f"`{advice.check_command(self._wanted)}` must accept the file.",
        )

    def _error(self, code: ErrorCode, detail: str, hint: str) -> Invalid:
        return Invalid(code, detail, field=self._field, hint=hint, help_page=HELP_PAGE)


_UNREADABLE: Final = {
    Wanted.CERTIFICATE: ErrorCode.CERTIFICATE_UNREADABLE,
    Wanted.INTERMEDIATE: ErrorCode.INTERMEDIATE_UNREADABLE,
    Wanted.PRIVATE_KEY: ErrorCode.KEY_UNREADABLE,
    Wanted.CSR: ErrorCode.INVALID_FIELD,
}
_REFUSALS: Final = {
    Wanted.CERTIFICATE: "Unable to parse the certificate",
    Wanted.INTERMEDIATE: "Unable to parse the intermediate certificate",
    Wanted.PRIVATE_KEY: "Unable to parse the private key",
    Wanted.CSR: "Unable to parse the certificate signing request",
}
