"""Files of settings that are read at the start: a mistake in them stops it, and does not wait for the first use."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.net.tls import client_context

_LARGEST: Final = 1024 * 1024


def read_trusted(path: Path, name: str) -> str:
    """Return the certificates to trust that a setting names, up to a mebibyte of them.

    Args:
        path: of a PEM file.
        name: of the setting.

    Raises:
        Invalid: ``settings_invalid``: it cannot be read, or holds no certificates.
    """
    text = read_text(path, name)
    try:
        # Exactly as it will be used.
        client_context(text)
    except Invalid as problem:
        raise Invalid(ErrorCode.SETTINGS_INVALID, f"{name}: {problem.detail}", field=name) from None
    return text


def read_text(path: Path, name: str) -> str:
    """Return the text of a file that a setting names.

    Raises:
        Invalid: ``settings_invalid``: it cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise Invalid(ErrorCode.SETTINGS_INVALID, f"{name}: {path} cannot be read: {reason}.", field=name) from None
