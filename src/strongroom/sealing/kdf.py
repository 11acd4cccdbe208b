"""Keys from passphrases: Argon2id with bounded cost."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable

SALT_BYTES = 16
MIN_PASSPHRASE = 12
MAX_PASSPHRASE_BYTES = 4096

# Costs are read back from stored data, so a changed row or file must not be able to ask for all memory.
MAX_MEMORY_KIB = 2**20
MAX_PASSES = 16
MAX_LANES = 16
_KIB_PER_LANE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Cost:
    """What one derivation costs.

    The defaults are the second recommended choice of RFC 9106 section 4.

    Attributes:
        memory_kib: memory, in KiB.
        passes: passes over the memory.
        lanes: threads.
    """

    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 4

    @property
    def is_acceptable(self) -> bool:
        """Tell whether the cost is valid for Argon2 and within our bounds."""
        return (
            1 <= self.lanes <= MAX_LANES
            and 1 <= self.passes <= MAX_PASSES
            and _KIB_PER_LANE * self.lanes <= self.memory_kib <= MAX_MEMORY_KIB
        )


def check_passphrase(passphrase: bytes, *, field: str) -> None:
    """Refuse a passphrase that is too short or absurdly long.

    Args:
        passphrase: UTF-8 text; its length is counted in characters.
        field: name of the setting or option it came from.

    Raises:
        Invalid: ``settings_invalid``.
    """
    try:
        length = len(passphrase.decode())
    except UnicodeDecodeError:
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"{field} must be UTF-8 text of at least {MIN_PASSPHRASE} characters.",
            field=field,
        ) from None
    if length < MIN_PASSPHRASE:
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"{field} has {length} characters; a passphrase must have at least {MIN_PASSPHRASE}.",
            field=field,
        )
    if len(passphrase) > MAX_PASSPHRASE_BYTES:
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"{field} has {len(passphrase)} bytes; a passphrase may have at most {MAX_PASSPHRASE_BYTES}.",
            field=field,
        )


def derive_key(passphrase: bytes, *, salt: bytes, cost: Argon2Cost, length: int) -> bytes:
    """Derive ``length`` bytes with Argon2id; about 0.1 s with the default cost.

    Raises:
        Unavailable: the machine has too little free memory.

    Source: RFC 9106.
    """
    # Imported here: 20 ms that a server with a key file and no passwords never needs to spend at start.
    from argon2.exceptions import HashingError
    from argon2.low_level import Type, hash_secret_raw

    try:
        return hash_secret_raw(
            passphrase,
            salt,
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=length,
            type=Type.ID,
        )
    except HashingError as error:
        raise Unavailable(ErrorCode.UNAVAILABLE, f"A key could not be derived from the passphrase: {error}.") from error
