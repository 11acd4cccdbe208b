"""Names are counted where their CA counts them: at the domain that somebody registered."""

from __future__ import annotations

import subprocess
import sys

import pytest

from strongroom.engines.public.public_suffixes import registered_domain


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("www.example.co.uk", "example.co.uk"),
        ("www.example.github.io", "example.github.io"),
        ("xn--bcher-kva.example.xn--fiqs8s", "example.xn--fiqs8s"),
        ("www.example.unknown-suffix", "example.unknown-suffix"),
        ("co.uk", "co.uk"),
        ("com", "com"),
    ],
)
def test_registered_domain_is_the_public_suffix_and_one_label(name: str, domain: str) -> None:
    assert registered_domain(name) == domain


def test_list_is_read_when_it_is_first_asked_for() -> None:
    program = (
        "import sys\n"
        "from strongroom.engines.public.public_suffixes import registered_domain\n"
        "assert 'publicsuffixlist' not in sys.modules\n"
        "assert registered_domain('www.example.com') == 'example.com'\n"
        "assert 'publicsuffixlist' in sys.modules\n"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
