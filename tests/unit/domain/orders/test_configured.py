"""Public CAs by name: which directory, whose, and whether the account is known there."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.configured import Directories, contact_urls

PRODUCTION = "https://production.example.com/directory"
STAGING = "https://staging.example.com:14000/dir"
KEY = "-----BEGIN PRIVATE KEY-----"


@pytest.fixture
def directories() -> Directories:
    return Directories({"production": PRODUCTION, "staging": STAGING})


def lets_encrypt(**more: Any) -> dict[str, Any]:
    return {"lets_encrypt_environment": "staging", "lets_encrypt_private_key": KEY, **more}


def test_environment_is_the_directory_of_the_settings(directories: Directories) -> None:
    account = directories.account(ConfigType.LETS_ENCRYPT, lets_encrypt())

    assert (account.directory_url, account.is_operators) == (STAGING, True)
    assert account.private_key == KEY
    assert KEY not in repr(account)


@pytest.mark.parametrize(
    ("url", "is_operators"),
    [
        (STAGING, True),
        ("https://staging.example.com:14000/other", True),
        ("https://staging.example.com/dir", False),
        ("http://production.example.com/directory", False),
        ("https://production.example.com.example.org/directory", False),
    ],
)
def test_only_the_very_servers_of_the_settings_are_the_operators(
    directories: Directories, url: str, is_operators: bool
) -> None:
    account = directories.account(ConfigType.ACME, {"acme_directory_url": url, "acme_account_private_key": KEY})

    assert account.is_operators is is_operators


def test_account_is_unknown_once_the_environment_means_another_ca(directories: Directories) -> None:
    known = {"account_url": "https://staging.example.com/acct/1", "account_directory": STAGING}

    here = directories.account(ConfigType.LETS_ENCRYPT, lets_encrypt(**known))
    moved = directories.account(ConfigType.LETS_ENCRYPT, lets_encrypt(**{**known, "account_directory": PRODUCTION}))

    assert here.url == known["account_url"]
    assert moved.url is None


def test_contact_is_written_as_urls() -> None:
    assert contact_urls(" pki@example.com,mailto:night@example.com,, ") == (
        "mailto:pki@example.com",
        "mailto:night@example.com",
    )
    assert contact_urls(None) == contact_urls("") == ()
