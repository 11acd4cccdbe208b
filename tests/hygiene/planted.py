"""Recognisable secrets, in every form in which one of them could turn up where it must not."""

from __future__ import annotations

import base64
import json
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

_SHORTEST: Final = 8
_KEY_SHAPES: Final = {
    "a P-256 key of the server in PKCS#8": "020100301306072a8648ce3d020106",
    "a P-384 or P-521 key of the server in PKCS#8": "020100301006072a8648ce3d020106",
    "an RSA key of the server in PKCS#8": "020100300d06092a864886f70d0101",
    "an Ed25519 key of the server in PKCS#8": "302e020100300506032b6570042204",
}
"""The beginnings of unencrypted keys (RFC 5958): no request or answer has the keys of authorities to look for."""
_PIECE: Final = 15
"""Bytes of a long secret that count as a find; fewer could be there by chance."""


@dataclass(frozen=True)
class Find:
    """A planted secret where it must not be."""

    secret: str
    form: str
    place: str


@dataclass
class Planted:
    """The secrets of one scenario, by what they are.

    Attributes:
        needles: what to look for: (name of the secret, form) by the bytes.
    """

    chance: random.Random
    needles: dict[bytes, tuple[str, str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a new secret text; it has characters that JSON and URLs write in another way."""
        value = f'Pl4nt-{name}-{self.chance.randbytes(9).hex()}"/é+'
        self.add(name, value)
        return value

    def word(self, name: str) -> str:
        """Return a new secret of letters and digits, for places that take nothing else."""
        value = f"Pl4nt{self.chance.randbytes(12).hex()}"
        self.add(name, value)
        return value

    def add(self, name: str, value: str | bytes) -> None:
        """Look for a value that was made elsewhere."""
        raw = value.encode() if isinstance(value, str) else value
        assert len(raw) >= _SHORTEST, name
        for piece in _pieces(raw):
            for form, needle in _forms(piece):
                self.needles.setdefault(needle, (name, form))
        if isinstance(value, str):
            for form, text in (("JSON", json.dumps(value)[1:-1]), ("URL", quote(value)), ("Python", repr(value)[1:-1])):
                for piece in _pieces(text.encode()):
                    self.needles.setdefault(piece, (name, form))

    def add_key(self, name: str, pem: str) -> None:
        """Look for a private key: its text, its DER in both layouts and the numbers that are secret."""
        lines = [line for line in pem.splitlines() if line and not line.startswith("-----")]
        # Some lines of the text hold what is public or the same in all keys; the numbers below find the others.
        key = load_pem_private_key(pem.encode(), None)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for number in _secret_numbers(key):
            assert number not in public
            self.add(f"{name} (number)", number)
        secret_lines = [line for line in lines if any(_overlaps(line, number) for number in _secret_numbers(key))]
        for line in secret_lines:
            self.needles.setdefault(line.encode(), (name, "PEM line"))

    def add_key_shapes(self) -> None:
        """Look for keys that nobody outside knows, in the form in which they are sealed."""
        for name, beginning in _KEY_SHAPES.items():
            self.add(name, bytes.fromhex(beginning))

    def look(self, place: str, data: bytes) -> Iterator[Find]:
        """Yield what is found in one place, once per secret and form."""
        seen = set()
        for needle in self._candidates(data):
            found = self.needles[needle]
            if found not in seen and needle in data:
                seen.add(found)
                yield Find(*found, place)

    def look_in_files(self, files: Iterable[Path]) -> list[Find]:
        """Return what is found in files."""
        return [find for path in files for find in self.look(str(path), _content(path))]

    def _candidates(self, data: bytes) -> Iterator[bytes]:
        """Yield the needles whose beginning is in the data; one pass over it instead of thousands."""
        beginnings: dict[int, list[bytes]] = {}
        for needle in self.needles:
            beginnings.setdefault(int.from_bytes(needle[:_SHORTEST], sys.byteorder), []).append(needle)
        hits: set[int] = set()
        for shift in range(_SHORTEST):
            whole = (len(data) - shift) // _SHORTEST * _SHORTEST
            if whole > 0:
                hits.update(beginnings.keys() & set(memoryview(data)[shift : shift + whole].cast("Q")))
        for hit in hits:
            yield from beginnings[hit]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        # A database server drops files of its caches while one looks; what is gone keeps nothing.
        return b""


def files_below(folder: Path) -> list[Path]:
    """Return every file in a folder and the folders in it."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _pieces(raw: bytes) -> Iterator[bytes]:
    if len(raw) <= 2 * _PIECE:
        yield raw
        return
    yield raw[:_PIECE]
    middle = len(raw) // 2
    yield raw[middle : middle + _PIECE]
    yield raw[-_PIECE:]


def _forms(raw: bytes) -> Iterator[tuple[str, bytes]]:
    yield "raw", raw
    yield "hex", raw.hex().encode()
    yield "HEX", raw.hex().upper().encode()
    for before in range(3):
        # The same bytes look different at each place in a group of three; the edges mix with their neighbours.
        encoded = base64.b64encode(bytes(before) + raw)
        start = (0, 2, 3)[before]
        whole = encoded[start : len(encoded) - 4]
        if len(whole) >= _SHORTEST:
            yield "base64", whole
            yield "base64url", whole.translate(bytes.maketrans(b"+/", b"-_"))
    if raw.isascii():
        yield "UTF-16", raw.decode("ascii").encode("utf-16-le")


def _secret_numbers(key: object) -> list[bytes]:
    match key:
        case rsa.RSAPrivateKey():
            numbers = key.private_numbers()
            values = (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
            return [value.to_bytes((value.bit_length() + 7) // 8, "big") for value in values]
        case ec.EllipticCurvePrivateKey():
            value = key.private_numbers().private_value
            return [value.to_bytes((key.curve.key_size + 7) // 8, "big")]
        case ed25519.Ed25519PrivateKey():
            return [key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())]
        case _:
            message = f"no secret numbers known of {type(key).__name__}"
            raise TypeError(message)


def _overlaps(line: str, number: bytes) -> bool:
    middle = base64.b64decode(line + "=" * (-len(line) % 4))[3:-3]
    return len(middle) >= _PIECE and middle in number
