"""Passwords from the operating system's randomness."""

from __future__ import annotations

import secrets
import string

SYMBOLS = "!#$%&()*+,-./:;<=>?@[]^_{|}~"
"""Printable symbols without quotes, backslash, backtick and space, which scripts trip over."""


def generate_password(*, length: int, include_digits: bool, include_symbols: bool, include_uppercase: bool) -> str:
    """Return a password with at least one character of every class that is wanted.

    Whole candidates are drawn until one fits, so that every fitting password is equally likely.
    """
    classes = [string.ascii_lowercase]
    classes += [string.digits] if include_digits else []
    classes += [SYMBOLS] if include_symbols else []
    classes += [string.ascii_uppercase] if include_uppercase else []
    alphabet = "".join(classes)
    while True:
        candidate = "".join(secrets.choice(alphabet) for _ in range(length))
        if all(any(char in wanted for char in candidate) for wanted in classes):
            return candidate
