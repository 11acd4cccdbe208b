"""What the members of CA configurations may hold; no request is made.

Source: api-v2-models M5.1; design, section 12.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.configured import (
    CONTACT,
    DIRECTORY,
    EAB_HMAC_KEY,
    EAB_KEY_ID,
    ENVIRONMENT,
    FALLBACK,
    PREFERRED_CHAINS,
    PRIVATE_KEYS,
    PROFILE,
    ROOT_BUNDLE,
    Directories,
    contact_parts,
)
from strongroom.kernel.errors import Invalid, Problems
from strongroom.pki.load import MAX_PEM_CHARACTERS, load_certificates

ENVIRONMENTS: Final = ("production", "staging")
MAX_URL: Final = 1024
MAX_EAB: Final = 1024
MAX_CONTACTS: Final = 10
_CHAIN_LENGTHS: Final = {ConfigType.LETS_ENCRYPT: (2, 30), ConfigType.ACME: (2, 64)}
_PROFILE: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
_VISIBLE: Final = re.compile(r"[!-~]{1,1024}")
_URL: Final = re.compile(r"[!-~]+")
_MAILBOX: Final = re.compile(r"(?:mailto:)?[^\s@:,?<>\"()\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.\-]{1,253}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_REQUIRED: Final = {ConfigType.LETS_ENCRYPT: ENVIRONMENT, ConfigType.ACME: DIRECTORY}


def changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members after a change; nothing and empty texts remove."""
    return {name: value for name, value in {**before, **changes}.items() if value is not None and value != ""}


def check_ca(config_type: ConfigType, values: Mapping[str, Any], directories: Directories) -> None:
    """Check the members of a CA configuration.

    Raises:
        Invalid: every broken rule, by field.
    """
    problems = Problems()
    required = _REQUIRED[config_type]
    if not values.get(required):
        problems.add(required, f"{required} is required.")
    if config_type is ConfigType.LETS_ENCRYPT:
        _check_environment(problems, values)
    else:
        _check_directory(problems, values, directories)
        _check_binding(problems, values)
        _check_bundle(problems, values)
        _check_contact(problems, values)
        profile = values.get(PROFILE)
        if profile and _PROFILE.fullmatch(profile) is None:
            problems.add(PROFILE, f"{PROFILE} may hold 1 to 64 letters, digits, '_', '.', ':' and '-'.")
    _check_chain(problems, PREFERRED_CHAINS[config_type], values, _CHAIN_LENGTHS[config_type])
    key = PRIVATE_KEYS[config_type]
    if len(values.get(key) or "") > MAX_PEM_CHARACTERS:
        problems.add(key, f"{key} must have at most {MAX_PEM_CHARACTERS} characters.")
    problems.raise_any()


def check_fallback(name: str, values: Mapping[str, Any]) -> None:
    """Refuse a CA that would stand in for itself."""
    if values.get(FALLBACK) == name:
        problems = Problems()
        problems.add(FALLBACK, f"{FALLBACK} must name another CA configuration than {name} itself.")
        problems.raise_any()


def _check_environment(problems: Problems, values: Mapping[str, Any]) -> None:
    environment = values.get(ENVIRONMENT)
    if environment and environment not in ENVIRONMENTS:
        problems.add(ENVIRONMENT, f"{ENVIRONMENT} must be {' or '.join(ENVIRONMENTS)}.")


def _check_directory(problems: Problems, values: Mapping[str, Any], directories: Directories) -> None:
    url = values.get(DIRECTORY)
    if not url:
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    fine = len(url) <= MAX_URL and _URL.fullmatch(url) and parts.hostname and port != 0
    if not fine or parts.username is not None or parts.fragment or parts.scheme not in {"https", "http"}:
        problems.add(
            DIRECTORY,
            f"{DIRECTORY} must be a URL such as https://acme.example.com/directory, of at most {MAX_URL} characters, "
            "without user name and fragment.",
        )
    elif parts.scheme == "http" and not directories.are_operators(url):
        problems.add(DIRECTORY, f"{DIRECTORY} must begin with https://: ACME is not spoken without TLS.")


def _check_binding(problems: Problems, values: Mapping[str, Any]) -> None:
    """Check the external account binding. Source: RFC 8555 section 7.3.4."""
    key_id, key = values.get(EAB_KEY_ID), values.get(EAB_HMAC_KEY)
    for present, missing, name in ((key_id, key, EAB_HMAC_KEY), (key, key_id, EAB_KEY_ID)):
        if present and not missing:
            problems.add(name, f"{EAB_KEY_ID} and {EAB_HMAC_KEY} go together; {name} is missing.")
    if key_id and _VISIBLE.fullmatch(key_id) is None:
        problems.add(EAB_KEY_ID, f"{EAB_KEY_ID} must have 1 to {MAX_EAB} visible ASCII characters.")
    if key and not _is_base64url(key):
        problems.add(EAB_HMAC_KEY, f"{EAB_HMAC_KEY} must be base64url text of at most {MAX_EAB} characters.")


def _is_base64url(text: str) -> bool:
    bare = text.rstrip("=")
    if not bare or len(text) > MAX_EAB or re.fullmatch(r"[A-Za-z0-9_\-]+", bare) is None:
        return False
    try:
        return bool(base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4)))
    except binascii.Error:
        return False


def _check_bundle(problems: Problems, values: Mapping[str, Any]) -> None:
    bundle = values.get(ROOT_BUNDLE)
    if not bundle:
        return
    try:
        load_certificates(bundle, field=ROOT_BUNDLE)
    except Invalid as problem:
        problems.note(problem)


def _check_contact(problems: Problems, values: Mapping[str, Any]) -> None:
    """Check the addresses. Source: RFC 8555 section 7.3: ``mailto`` with one address and no header fields."""
    contact = values.get(CONTACT)
    if not contact:
        return
    parts = contact_parts(contact)
    if not parts or len(parts) > MAX_CONTACTS or any(_MAILBOX.fullmatch(part) is None for part in parts):
        problems.add(
            CONTACT,
            f"{CONTACT} must hold 1 to {MAX_CONTACTS} e-mail addresses joined by commas, such as pki@example.com or "
            "mailto:pki@example.com.",
        )


def _check_chain(problems: Problems, name: str, values: Mapping[str, Any], lengths: tuple[int, int]) -> None:
    chain, (low, high) = values.get(name), lengths
    if not chain:
        return
    if not low <= len(chain) <= high:
        problems.add(name, f"{name} must have {low} to {high} characters, or none; it has {len(chain)}.")
    elif _CONTROL.search(chain):
        problems.add(name, f"{name} must not hold control characters.")
