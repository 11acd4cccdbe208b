from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.cli.words import Shape, drop_prefix, join_pem, tidy

SHAPE = Shape(
    valued=frozenset({"--secret-name", "--sort", "--secret-labels", "-j", "--limit"}),
    flags=frozenset({"--quiet", "-q", "--help"}),
    booleans=frozenset({"--all-pages"}),
    pem=frozenset({"--imported-cert-certificate", "--imported-cert-private-key"}),
    durations=frozenset({"--wait"}),
)
BODY = "A" * 64 + "\n" + "B" * 20
PEM = f"-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----\n"
KEY = f"-----BEGIN EC PRIVATE KEY-----\n{BODY}\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "prefix", [["ibmcloud", "secrets-manager"], ["ibmcloud", "sm"], ["secrets-manager"], ["sm"], []]
)
def test_the_original_programs_name_is_dropped(prefix: list[str]) -> None:
    assert drop_prefix([*prefix, "secrets", "sm"]) == ["secrets", "sm"]


@pytest.mark.parametrize(
    ("words", "tidied"),
    [
        (["--sort", "-name"], ["--sort=-name"]),
        (["--sort=-name"], ["--sort=-name"]),
        (["--secret_name", "x"], ["--secret-name=x"]),
        (["--secret_name=a=b"], ["--secret-name=a=b"]),
        (["--secret-name", "--secret-labels"], ["--secret-name=--secret-labels"]),
        (["-j", "a.b"], ["-j", "a.b"]),
        (["--all-pages"], ["--all-pages=true"]),
        (["--all-pages", "FALSE"], ["--all-pages=FALSE"]),
        (["--all-pages=false"], ["--all-pages=false"]),
        (["--all-pages", "--limit", "3"], ["--all-pages=true", "--limit=3"]),
        (["--wait"], ["--wait=10m"]),
        (["--wait", "90"], ["--wait=90"]),
        (["--wait", "2h"], ["--wait=2h"]),
        (["--wait=1d"], ["--wait=1d"]),
        (["--wait", "--limit", "3"], ["--wait=10m", "--limit=3"]),
        (["--quiet", "true"], ["--quiet", "true"]),
        (["--sort"], ["--sort"]),
        (["--unknown", "x"], ["--unknown", "x"]),
        (["-"], ["-"]),
        (["--", "--secret_name"], ["--", "--secret_name"]),
    ],
)
def test_options_get_one_spelling(words: list[str], tidied: list[str]) -> None:
    assert tidy(words, SHAPE) == tidied


def test_words_after_the_command_are_left_to_the_command() -> None:
    words = ["--limit", "1", "secret", "--sort", "x"]
    assert tidy(words, SHAPE, until_command=True) == ["--limit=1", "secret", "--sort", "x"]


def test_pem_torn_by_the_shell_is_put_together() -> None:
    words = ["--imported-cert-certificate", *(PEM + PEM).split(), "--imported-cert-private-key", *KEY.split(), "-q"]
    assert tidy(words, SHAPE) == [
        f"--imported-cert-certificate={PEM}{PEM}",
        f"--imported-cert-private-key={KEY}",
        "-q",
    ]


def test_pem_torn_after_an_equals_sign_is_put_together() -> None:
    first, *rest = PEM.split()
    words = [f"--imported-cert-certificate={first}", *rest, "--secret_name=x"]
    assert tidy(words, SHAPE) == [f"--imported-cert-certificate={PEM}", "--secret-name=x"]


def test_text_between_torn_blocks_is_dropped() -> None:
    assert join_pem(["subject=", *PEM.split(), "Bag", "Attributes", *KEY.split()]) == PEM + KEY


def test_pem_in_one_word_is_not_changed_at_all() -> None:
    text = "leading text\r\n" + PEM.replace("\n", "\r\n") + "  "
    assert tidy(["--imported-cert-certificate", text], SHAPE) == [f"--imported-cert-certificate={text}"]


def test_words_without_a_complete_block_are_kept_for_the_check() -> None:
    assert join_pem(["-----BEGIN", "CERTIFICATE-----", "AAAA"]) == "-----BEGIN CERTIFICATE----- AAAA"


def test_a_pem_option_without_a_value_is_left_to_click() -> None:
    assert tidy(["--imported-cert-certificate"], SHAPE) == ["--imported-cert-certificate"]


@given(st.lists(st.text(min_size=1, max_size=12), max_size=12))
def test_tidying_never_fails_and_is_stable(words: list[str]) -> None:
    once = tidy(words, SHAPE)
    assert isinstance(once, list)
    assert tidy(words, SHAPE) == once


@given(st.lists(st.text("ABCDEFabcdef0123456789+/=", min_size=1, max_size=70), min_size=1, max_size=20))
def test_any_tearing_of_a_block_gives_the_same_block(pieces: list[str]) -> None:
    whole = f"-----BEGIN CERTIFICATE-----\n{''.join(pieces)}\n-----END CERTIFICATE-----"
    torn = ["-----BEGIN", "CERTIFICATE-----", *pieces, "-----END", "CERTIFICATE-----"]
    assert join_pem(torn) == join_pem(whole.split())
