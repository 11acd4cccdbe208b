from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.only_sealing_and_pki_make_keys import check


def test_random_bytes_elsewhere_are_refused(broken: Broken) -> None:
    assert broken(check, "domain/identity/tokens.py", "import os\nos.urandom(32)\n") == [2]
    assert broken(check, "api/app.py", "from secrets import token_urlsafe\ntoken_urlsafe()\n") == [2]


def test_generating_keys_elsewhere_is_refused(broken: Broken) -> None:
    assert broken(
        check,
        "pki/csr.py",
        "from cryptography.hazmat.primitives.asymmetric import rsa\nrsa.generate_private_key(65537, 2048)\n",
    ) == [2]
    assert broken(
        check, "engines/imported/engine.py", "from x import Ed25519PrivateKey\nEd25519PrivateKey.generate()\n"
    ) == [2]


def test_the_two_places_may(broken: Broken) -> None:
    assert broken(check, "sealing/keyring.py", "import os\nos.urandom(32)\n") == []
    assert broken(check, "pki/keys.py", "from x import Ed25519PrivateKey\nEd25519PrivateKey.generate()\n") == []


def test_comparing_and_choosing_are_fine(broken: Broken) -> None:
    assert broken(check, "api/auth.py", "import secrets\nsecrets.compare_digest(a, b)\nsecrets.choice(c)\n") == []


def test_asking_the_place_that_makes_keys_is_fine(broken: Broken) -> None:
    source = "from strongroom.pki.keys import generate_private_key\ngenerate_private_key(algorithm)\n"
    assert broken(check, "engines/imported/managed_csr.py", source) == []
